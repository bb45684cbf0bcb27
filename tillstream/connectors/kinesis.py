"""The Kinesis source. The one module that may use what Flink 2.x no longer has.

FlinkKinesisConsumer is the mature consumer: polling and enhanced fan-out, resharding, exact
positions in savepoints. It reads the children of a split shard as soon as it finds them, without
waiting for the parent's end: around a split, records of one key may arrive out of order. In Flink
2.x KinesisStreamsSource takes its place, which waits.
"""

from __future__ import annotations

from typing import Any

from tillstream.conf import Conf
from tillstream.connectors.context import JobContext
from tillstream.connectors.gateway import java, ours, properties


def source(context: JobContext, timed: bool) -> Any:
    """The Java stream of enveloped records, without keys. timed: with watermarks of arrival, by shard."""
    conf = context.conf
    settings = conf.source.kinesis
    envelope = ours().KinesisEnvelope(settings.endpoint is not None)
    if conf.source.until_ms is not None:
        envelope.until(conf.source.until_ms)
    consumer = java().org.apache.flink.streaming.connectors.kinesis.FlinkKinesisConsumer(
        settings.stream, envelope, properties(consumer_settings(conf, context.own_name()))
    )
    # By place in the hash key range: shards of one size spread evenly over the subtasks.
    assigner = java().org.apache.flink.streaming.connectors.kinesis.util.UniformShardAssigner()
    consumer.setShardAssigner(assigner)
    if timed:
        # PyFlink's gateway names a class within a class so.
        consumer.setPeriodicWatermarkAssigner(getattr(ours(), "KinesisEnvelope$Arrivals")())
    return context.env._j_stream_execution_environment.addSource(consumer)


def consumer_settings(conf: Conf, name: str) -> dict[str, str]:
    """The consumer's properties: every call has bounded retries with backoff and jitter. ``name``: of
    an enhanced consumer."""
    settings = conf.source.kinesis
    out = {
        "aws.region": conf.region,
        "flink.stream.initpos": settings.start,
        "flink.shard.discovery.intervalmillis": settings.discover_shards_ms,
        "flink.shard.getrecords.intervalmillis": settings.poll_interval_ms,
        "flink.shard.getrecords.maxrecordcount": settings.records_per_poll,
        "flink.shard.getrecords.maxretries": 10,
        "flink.shard.getrecords.backoff.base": 300,
        "flink.shard.getrecords.backoff.max": 5000,
        "flink.list.shards.maxretries": 10,
        "flink.stream.describe.maxretries": 10,
        "aws.clientconfig.connectionTimeout": 5000,
        "aws.clientconfig.socketTimeout": 20000,
        # A quiet shard holds no watermark up: they are read side by side.
        "flink.shard.idle.interval": 10000,
    }
    if conf.source.start_ms is not None:
        out["flink.stream.initpos"] = "AT_TIMESTAMP"
        out["flink.stream.initpos.timestamp"] = f"{conf.source.start_ms / 1000:.3f}"
    if settings.endpoint:
        out["aws.endpoint"] = settings.endpoint
    if conf.aws.credentials == "basic":
        out |= {
            "aws.credentials.provider": "BASIC",
            "aws.credentials.provider.basic.accesskeyid": "local",
            "aws.credentials.provider.basic.secretkey": "local",
        }
    else:
        out["aws.credentials.provider"] = "AUTO"
    if settings.fan_out:
        out |= {
            "flink.stream.recordpublisher": "EFO",
            "flink.stream.efo.consumername": name,
            "flink.stream.efo.registration": "LAZY",
        }
    return {name: str(value) for name, value in out.items()}
