"""From where on a job has not read the tills' stream: where the front door has to begin for it."""

from __future__ import annotations

from tillstream.cli.times import now_ms
from tillstream.cluster.protocol import JobError
from tillstream.cluster.restoring import Standing, kafka_losses, kinesis_losses
from tillstream.conf import Conf

SLACK_MS = 1_000  # times are whole milliseconds, and a stream's clocks are several


def unread_since_ms(conf: Conf, job: str, found: Standing) -> int:
    """When the first record arrived (ms UTC) that the job has not read, less a second; now where it has read
    all. ``conf.source`` is the tills' stream. Raises JobError where the stream no longer holds it, or the job
    has no position there."""
    if conf.source.kind == "kafka":
        stream, first = f"kafka:{conf.source.kafka.topic}", _of_kafka
    else:
        stream, first = f"kinesis:{conf.source.kinesis.stream}", _of_kinesis
    begun = dict(found.positions.get(stream, {}))
    if not begun:
        raise JobError(
            f"{job} has no position in {stream}: it did not read it, or read nothing of it yet"
        )
    return min([now_ms(), *(first(conf, job, begun, found))]) - SLACK_MS


def _of_kafka(conf: Conf, job: str, begun: dict[str, str], found: Standing) -> list[int]:
    from tillstream.clients.kafka import first_from, watermarks

    source = conf.source.kafka
    marks = watermarks(conf, source.topic, source.bootstrap)
    for lost in kafka_losses(source.topic, begun, marks):
        raise _gone(job, lost.said)
    places = {number: max(int(begun.get(str(number), 0)), 0) for number in marks}
    return list(first_from(conf, source.topic, source.bootstrap, places).values())


def _of_kinesis(conf: Conf, job: str, begun: dict[str, str], found: Standing) -> list[int]:
    from tillstream.clients import kinesis

    stream = conf.source.kinesis.stream
    for lost in kinesis_losses(
        conf, begun, found.read_to_ms.get(f"kinesis:{stream}", {}), found.written_ms
    ):
        raise _gone(job, lost.said)
    client = kinesis.open_stream(conf)
    first = []
    for shard in {*begun, *kinesis.shards(client, stream)}:
        at = int(begun[shard]) if shard in begun else None
        if kept := kinesis.first_kept(client, stream, shard, at, after=at is not None):
            first.append(kept.arrived_ms)
    return first


def _gone(job: str, said: str) -> JobError:
    return JobError(
        f"{said}: what {job} has not read is lost to it. Start intake at the stream's beginning, "
        "source.start_ms: null"
    )
