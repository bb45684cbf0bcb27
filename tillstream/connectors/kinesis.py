"""The Kinesis source: ours, io.tillstream.flink.kinesis, for the reasons in docs/adr/0012-*.md."""

from __future__ import annotations

from typing import Any

from tillstream.connectors.context import JobContext
from tillstream.connectors.gateway import java, ours


def uid(source_uid: str) -> str:
    """Of the source's state. Not ``source_uid`` itself, under which the consumer before it kept its own."""
    return f"{source_uid}-shards"


def source(context: JobContext, key_field: str | None) -> Any:
    """What ``fromSource`` takes: rows of (key, enveloped record), a row for each piece of a record; without
    ``key_field`` no key is looked for."""
    conf = context.conf
    settings = conf.source.kinesis
    made = ours().kinesis.KinesisSource(settings.stream, conf.region, key_field)
    made.endpoint(settings.endpoint)
    made.polls(settings.poll_interval_ms, settings.records_per_poll, settings.discover_shards_ms)
    if conf.aws.credentials == "basic":
        made.basicCredentials()
    if conf.source.until_ms is not None:
        made.until(conf.source.until_ms)
    positions = java().java.util.HashMap()
    for shard, sequence in settings.positions.items():
        positions.put(shard, sequence)
    # Whatever --accept-loss has accepted, of topics and shards.
    for place, (at, to) in conf.source.kafka.accepted_loss.items():
        stream, _, shard = place.rpartition("/")
        if stream == settings.stream and shard == "*":
            made.acceptsLossBefore(to)
        elif stream == settings.stream:
            made.acceptsLossOf(shard, str(at))
    latest = settings.start == "LATEST" and conf.source.start_ms is None
    return made.begins(latest, conf.source.start_ms or 0, positions)
