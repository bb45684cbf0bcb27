"""Kafka sinks for JSON bytes."""

from __future__ import annotations

from typing import Any

from pyflink.datastream import DataStream

from tillstream.catalog import topics
from tillstream.catalog.resources import Guarantee, Topic
from tillstream.conf import ConfError
from tillstream.connectors.context import JobContext
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
EXACTLY_ONCE_AS_CONFIGURED = ("configured", "exactly-once")


def json_sink(context: JobContext, stream: DataStream, topic: Topic, uid: str) -> None:
    """``stream`` of JSON bytes to ``topic``, keyed by the topic's key."""
    name = context.conf.topic(topic)
    serializer = ours().KeyedJson(name, topic.key)
    _attach(context, stream, context.writes(topic).guarantee, serializer, uid, f"{name} to Kafka")


def dead_letter_sink(context: JobContext, stream: DataStream, uid: str) -> None:
    """Dead letters (JSON bytes of ``domain.dead_letter``) to their topic, with headers."""
    name = context.conf.topic(topics.DEAD_LETTERS)
    guarantee = context.writes(topics.DEAD_LETTERS).guarantee
    _attach(context, stream, guarantee, ours().DeadLetterRecords(name), uid, f"{name} to Kafka")


def routed_sink(
    context: JobContext, stream: DataStream, routes: dict[str, Topic], uid: str
) -> None:
    """Records ``<route>|<key>\\n<json>`` to the topic of their route, in one transaction: exactly
    once, readers of committed records see each of them after its checkpoint."""
    named = java().java.util.HashMap()
    for route, topic in routes.items():
        listed = context.writes(topic)
        assert listed.guarantee == "exactly-once", f"{topic.id}: a route is exactly_once"
        named.put(route, context.conf.topic(topic))
    serializer = ours().RoutedJson(named)
    _attach(context, stream, "exactly-once", serializer, uid, "actions to Kafka")


def _attach(
    context: JobContext,
    stream: DataStream,
    guarantee: Guarantee,
    serializer: Any,
    uid: str,
    name: str,
) -> None:
    settings = context.conf.kafka
    if not settings.bootstrap:
        raise ConfError("kafka.bootstrap is not set: name the brokers, host:port,...")
    delivery = java().org.apache.flink.connector.base.DeliveryGuarantee
    prompt = PROMPT if guarantee == "prompt" else {}
    builder = (
        java()
        .org.apache.flink.connector.kafka.sink.KafkaSink.builder()
        .setBootstrapServers(settings.bootstrap)
        .setKafkaProducerConfig(properties({**PRODUCER, **prompt, **settings.properties}))
        .setRecordSerializer(serializer)
    )
    if guarantee == "exactly-once" or (guarantee, settings.delivery) == EXACTLY_ONCE_AS_CONFIGURED:
        builder.setDeliveryGuarantee(delivery.EXACTLY_ONCE)
        # Of this deployment's job alone: two writers of one prefix would fence each other.
        builder.setTransactionalIdPrefix(context.own_name(uid))
    else:
        builder.setDeliveryGuarantee(delivery.AT_LEAST_ONCE)
    add_sink(stream, builder.build(), uid, name)
