"""Kafka sinks for JSON bytes."""

from __future__ import annotations

from typing import Any

from pyflink.datastream import DataStream

from tillstream.conf import Conf, ConfError
from tillstream.connectors.gateway import add_sink, java, ours, properties

# Bounded, ordered, compressed; how long a record may be retried before the job fails and restarts.
PRODUCER = {
    "acks": "all",
    "enable.idempotence": "true",
    "compression.type": "lz4",
    "linger.ms": "20",
    "batch.size": "131072",
    "delivery.timeout.ms": "60000",
    "request.timeout.ms": "20000",
    "transaction.timeout.ms": "900000",
}


# For what a person or another system waits for: sent at once, in small batches.
PROMPT = {"linger.ms": "1"}


def json_sink(
    stream: DataStream, conf: Conf, topic: str, key_field: str, uid: str, prompt: bool = False
) -> None:
    """``stream`` of JSON bytes to ``topic``, keyed by the string field ``key_field``. ``prompt``:
    not held back for larger batches, nor until a checkpoint: at least once whatever conf says."""
    serializer = ours().KeyedJson(topic, key_field)
    _attach(stream, conf, serializer, uid, f"{topic} to Kafka", prompt)


def dead_letter_sink(stream: DataStream, conf: Conf, uid: str) -> None:
    """Dead letters (JSON bytes of ``domain.dead_letter``) to their topic, with headers."""
    topic = conf.kafka.topics["dead_letters"]
    _attach(stream, conf, ours().DeadLetterRecords(topic), uid, f"{topic} to Kafka")


def routed_sink(stream: DataStream, conf: Conf, routes: dict[str, str], uid: str) -> None:
    """Records ``<route>|<key>\\n<json>`` to the topic of their route, exactly once whatever
    ``kafka.delivery`` says: readers of committed records see each of them after its checkpoint."""
    topics = java().java.util.HashMap()
    for route, topic in routes.items():
        topics.put(route, topic)
    _attach(stream, conf, ours().RoutedJson(topics), uid, "actions to Kafka", exactly_once=True)


def _attach(
    stream: DataStream,
    conf: Conf,
    serializer: Any,
    uid: str,
    name: str,
    prompt: bool = False,
    exactly_once: bool = False,
) -> None:
    if not conf.kafka.bootstrap:
        raise ConfError("kafka.bootstrap is not set: name the brokers, host:port,...")
    guarantee = java().org.apache.flink.connector.base.DeliveryGuarantee
    builder = (
        java()
        .org.apache.flink.connector.kafka.sink.KafkaSink.builder()
        .setBootstrapServers(conf.kafka.bootstrap)
        .setKafkaProducerConfig(
            properties({**PRODUCER, **(PROMPT if prompt else {}), **conf.kafka.properties})
        )
        .setRecordSerializer(serializer)
    )
    if exactly_once or (conf.kafka.delivery == "exactly-once" and not prompt):
        builder.setDeliveryGuarantee(guarantee.EXACTLY_ONCE)
        builder.setTransactionalIdPrefix(f"tillstream-{uid}")
    else:
        builder.setDeliveryGuarantee(guarantee.AT_LEAST_ONCE)
    add_sink(stream, builder.build(), uid, name)
