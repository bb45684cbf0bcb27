"""Small Kafka topics read whole and written with a receipt: rules, answers, labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from tillstream.clients.delivery import deliver, open_producer
from tillstream.clients.kafka import client_settings, partitions, reader_settings, unreachable
from tillstream.clients.whole_topic import poll_many, read_whole
from tillstream.conf import Conf
from tillstream.errors import Problem

TIMEOUT_S = 10.0


class TopicError(Problem):
    """A record cannot be written; the message says what to do."""


class Message(NamedTuple):
    """origin as jobs name it: ``kafka:topic/partition/offset``; at_ms: the broker's time."""

    origin: str
    at_ms: int
    value: bytes


def put(conf: Conf, topic: str, key: str, value: bytes) -> str:
    """Writes one record and waits until all in-sync replicas have it; returns its origin."""
    producer = open_producer(client_settings(conf))
    (receipt,) = deliver(producer, topic, [(key.encode(), value, [])])
    if receipt.origin is None:
        raise TopicError(
            f"Kafka does not take records for {topic} ({receipt.error}): see `tillstream status`"
        )
    return receipt.origin


def read_all(conf: Conf, topic: str) -> list[Message]:
    """Everything in ``topic`` now, by time. Raises Unreachable."""
    found = map(_message, read_whole(conf, "rules", topic))
    return sorted(found, key=lambda message: message.at_ms)


@contextmanager
def tail(conf: Conf, topic: str) -> Iterator[Callable[[float], list[Message]]]:
    """A call that waits so many seconds for what comes to ``topic`` from now on. Raises Unreachable."""
    consumer = Consumer(reader_settings(conf, "rules"))
    try:
        ends = []
        for number in partitions(consumer, topic, conf.kafka.bootstrap):
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, number), TIMEOUT_S)
            ends.append(TopicPartition(topic, number, end))
        consumer.assign(ends)
        yield lambda wait_s: [
            _message(message) for message in poll_many(consumer, wait_s) if message.error() is None
        ]
    except KafkaException as error:
        raise unreachable(conf.kafka.bootstrap, error.args[0]) from None
    finally:
        consumer.close()


def _message(message: KafkaMessage) -> Message:
    origin = f"kafka:{message.topic()}/{message.partition()}/{message.offset()}"
    return Message(origin, message.timestamp()[1], message.value() or b"")
