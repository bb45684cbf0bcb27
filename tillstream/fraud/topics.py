"""Small Kafka topics read whole and written with a receipt: rules, answers, labels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from tillstream.clients.kafka import client_settings, reader_settings
from tillstream.conf import Conf
from tillstream.errors import Problem

TIMEOUT_S = 10.0


class TopicError(Problem):
    """The broker does not answer, or refuses; the message says what to do."""


class Message(NamedTuple):
    """origin as jobs name it: ``kafka:topic/partition/offset``; at_ms: the broker's time."""

    origin: str
    at_ms: int
    value: bytes


def put(conf: Conf, topic: str, key: str, value: bytes) -> str:
    """Writes one record and waits until all in-sync replicas have it; returns its origin."""
    producer = Producer({**client_settings(conf), "enable.idempotence": True, "acks": "all"})
    outcome: list[tuple[KafkaError | None, int, int]] = []

    def delivered(error: KafkaError | None, message: object) -> None:
        outcome.append((error, message.partition(), message.offset()))  # type: ignore[attr-defined]

    producer.produce(topic, value, key.encode(), on_delivery=delivered)
    producer.flush(TIMEOUT_S)
    if not outcome:
        raise TopicError(f"Kafka does not take records for {topic}: see `tillstream status`")
    error, partition, offset = outcome[0]
    if error is not None:
        raise TopicError(f"Kafka refuses a record for {topic}: {error.str()}")
    return f"kafka:{topic}/{partition}/{offset}"


def read_all(conf: Conf, topic: str) -> list[Message]:
    """Everything in ``topic`` now, by time."""
    reader = Reader(conf, topic, from_start=True)
    try:
        return sorted(reader.until_end(), key=lambda message: message.at_ms)
    finally:
        reader.close()


class Reader:
    """Follows all partitions of a topic, from its start or from its end as of now."""

    def __init__(self, conf: Conf, topic: str, from_start: bool) -> None:
        self._consumer = Consumer(reader_settings(conf, "rules"))
        try:
            found = self._consumer.list_topics(topic, TIMEOUT_S).topics[topic]
            if found.error is not None:
                raise TopicError(f"no Kafka topic {topic}: `tillstream up` creates it")
            self._ends = {
                p: self._consumer.get_watermark_offsets(TopicPartition(topic, p), TIMEOUT_S)
                for p in found.partitions
            }
        except KafkaException as error:
            self._consumer.close()
            raise TopicError(
                f"Kafka does not answer ({error.args[0].str()}): `tillstream up` starts it"
            ) from None
        except TopicError:
            self._consumer.close()
            raise
        self._consumer.assign(
            [TopicPartition(topic, p, low if from_start else high)
             for p, (low, high) in self._ends.items()]
        )  # fmt: skip

    def until_end(self) -> Iterator[Message]:
        """What was there when the reader was made."""
        left = {p for p, (low, high) in self._ends.items() if high > low}
        deadline = time.monotonic() + 6 * TIMEOUT_S
        while left:
            for partition, message in self._some(0.5):
                offset = int(message.origin.rpartition("/")[2])
                if offset < self._ends[partition][1]:
                    yield message
                if offset >= self._ends[partition][1] - 1:
                    left.discard(partition)
            if time.monotonic() > deadline:
                raise TopicError("Kafka answers too slowly: see `tillstream status`")

    def next(self, wait_s: float) -> list[Message]:
        """What came within ``wait_s``."""
        return [message for _, message in self._some(wait_s)]

    def _some(self, wait_s: float) -> list[tuple[int, Message]]:
        # consume() alone would wait for 500 records: the first ends the wait.
        first = self._consumer.poll(wait_s)
        messages = [] if first is None else [first, *self._consumer.consume(500, 0)]
        found = []
        for message in messages:
            if message.error() is None:
                origin = f"kafka:{message.topic()}/{message.partition()}/{message.offset()}"
                value = message.value() or b""
                partition = message.partition() or 0
                found.append((partition, Message(origin, message.timestamp()[1], value)))
        return found

    def close(self) -> None:
        self._consumer.close()
