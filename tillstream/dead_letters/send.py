"""Puts records back to the source stream and marks them as redriven, in that order.

A crash between the two leaves a record sent and not marked: it may be sent again, and the jobs,
which know its transaction_id, drop the second one. The other order could lose it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from confluent_kafka import Producer

from tillstream.catalog import topics
from tillstream.cli.times import now_ms
from tillstream.clients import kinesis
from tillstream.clients.delivery import (
    DELIVERY_S,
    Receipt,
    Record,
    deliver,
    must_be_there,
    open_producer,
)
from tillstream.clients.kafka import client_settings, source_settings
from tillstream.clients.kinesis import BATCH_BYTES, BATCH_RECORDS
from tillstream.conf import Conf
from tillstream.dead_letters.model import Sendable
from tillstream.dead_letters.read import REDRIVEN_AT, REDRIVEN_BY, REDRIVEN_TO


class Sent(NamedTuple):
    """Outcome of one record: its new origin, or why it did not get there."""

    dead_letter_id: str
    to: str | None
    error: str | None


class Source(NamedTuple):
    """Where the jobs read from. ``put`` answers in the order given."""

    name: str
    put: Callable[[Sequence[Sendable]], list[Receipt]]


class Markers:
    """Writes the mark of a redriven dead letter: its key, an empty value, and who, when, where to."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self.producer, self.topic = producer, topic

    def write(self, sent: Sequence[Sent], by: str, at_ms: int) -> list[str]:
        """Ids that could not be marked."""
        records: list[Record] = [
            (
                one.dead_letter_id.encode(),
                b"",
                [
                    (REDRIVEN_AT, str(at_ms).encode()),
                    (REDRIVEN_BY, by.encode()),
                    (REDRIVEN_TO, (one.to or "").encode()),
                ],
            )
            for one in sent
        ]
        receipts = deliver(self.producer, self.topic, records)
        return [one.dead_letter_id for one, to in zip(sent, receipts, strict=True) if to.error]


class Batch(NamedTuple):
    """What became of one batch: every record's outcome, and the ids sent but not marked."""

    sent: list[Sent]
    unmarked: list[str]


def redrive(
    sendable: Sequence[Sendable],
    source: Source,
    markers: Markers,
    by: str,
    now_ms: Callable[[], int] = now_ms,
) -> Iterator[Batch]:
    """Send a batch, mark what arrived of it, go on; so a crash leaves one batch unmarked at most.

    Stops after a batch whose marks could not be written, for the next would have none either.
    """
    for batch in _batches(sendable):
        receipts = source.put(batch)
        sent = [
            Sent(one.dead_letter_id, to.origin, to.error)
            for one, to in zip(batch, receipts, strict=True)
        ]
        arrived = [one for one in sent if one.error is None]
        unmarked = markers.write(arrived, by, now_ms()) if arrived else []
        yield Batch(sent, unmarked)
        if unmarked:
            return


def _size(one: Sendable) -> int:
    return len(one.payload) + len(one.key)


def _batches(sendable: Sequence[Sendable]) -> Iterator[list[Sendable]]:
    batch: list[Sendable] = []
    size = 0
    for one in sendable:
        if batch and (len(batch) == BATCH_RECORDS or size + _size(one) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += _size(one)
    if batch:
        yield batch


def open_source(conf: Conf, topic: str | None = None) -> Source:
    """``topic``, or without one the stream that conf.source names, seen to be there."""
    if topic is not None:
        return _to_kafka(conf, client_settings(conf), topic)
    if conf.source.kind == "kinesis":
        client, stream = kinesis.open_stream(conf), conf.source.kinesis.stream
        return Source(
            f"kinesis:{stream}",
            lambda batch: kinesis.put(client, stream, [(one.key, one.payload) for one in batch]),
        )
    return _to_kafka(conf, source_settings(conf), conf.source.kafka.topic)


def _to_kafka(conf: Conf, settings: dict[str, Any], topic: str) -> Source:
    producer = _producer(conf, settings, topic)
    return Source(
        f"kafka:{topic}",
        lambda batch: deliver(
            producer, topic, [(one.key.encode(), one.payload, []) for one in batch]
        ),
    )


def open_markers(conf: Conf) -> Markers:
    topic = conf.topic(topics.DEAD_LETTERS)
    return Markers(_producer(conf, client_settings(conf), topic), topic)


def _producer(conf: Conf, settings: dict[str, Any], topic: str) -> Producer:
    must_be_there(settings, topic, conf.own_name("dlq"))
    return open_producer(settings | {"delivery.timeout.ms": DELIVERY_S * 1000, "linger.ms": 5})
