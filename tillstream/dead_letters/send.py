"""Puts records back to the source stream and marks them as redriven, in that order.

A crash between the two leaves a record sent and not marked: it may be sent again, and the jobs,
which know its transaction_id, drop the second one. The other order could lose it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import Consumer, Producer

from tillstream.catalog import topics
from tillstream.cli.times import now_ms
from tillstream.clients import aws
from tillstream.clients.delivery import DELIVERY_S, Record, deliver
from tillstream.clients.kafka import client_settings, partitions, source_settings
from tillstream.conf import Conf
from tillstream.dead_letters.model import DlqError, Sendable
from tillstream.dead_letters.read import REDRIVEN_AT, REDRIVEN_BY, REDRIVEN_TO

RETRY_AFTER_S = (0.1, 0.2, 0.4)
BATCH_RECORDS = 500  # Kinesis takes no more in one request
BATCH_BYTES = 4_500_000  # nor more than 5 MB, keys included
RECORD_BYTES = 1_048_576  # and of one record, key included, not more than this


class Sent(NamedTuple):
    """Outcome of one record: its new origin, or why it did not get there."""

    dead_letter_id: str
    to: str | None
    error: str | None


class Source(Protocol):
    """Where the jobs read from. ``send`` answers in the order given."""

    name: str

    def send(self, batch: Sequence[Sendable]) -> list[Sent]: ...


class KinesisSource:
    """A Kinesis stream. Only the records that failed are sent again, after 0.1, 0.2 and 0.4 s."""

    def __init__(
        self, client: Any, stream: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.client, self.stream, self.sleep = client, stream, sleep
        self.name = f"kinesis:{stream}"

    def check(self) -> None:
        """Raises DlqError when the stream is not there or not to be reached."""
        try:
            self.client.describe_stream_summary(StreamName=self.stream)
        except (BotoCoreError, ClientError) as error:
            raise DlqError(
                f"Kinesis stream {self.stream} cannot be written ({error}): start the local stack "
                "with `tillstream up`, or correct source.kinesis and the credentials"
            ) from None

    def send(self, batch: Sequence[Sendable]) -> list[Sent]:
        outcome: dict[int, Sent] = {}
        waiting = []
        for n, one in enumerate(batch):
            if _size(one) > RECORD_BYTES:
                outcome[n] = Sent(one.dead_letter_id, None, "larger than Kinesis takes (1 MiB)")
            else:
                waiting.append(n)
        for wait_s in (0, *RETRY_AFTER_S):
            if not waiting:
                break
            if wait_s:
                self.sleep(wait_s)
            outcome.update(zip(waiting, self._put([batch[n] for n in waiting]), strict=True))
            waiting = [n for n in waiting if outcome[n].error]
        return [outcome[n] for n in range(len(batch))]

    def _put(self, batch: Sequence[Sendable]) -> list[Sent]:
        records = [{"Data": one.payload, "PartitionKey": one.key} for one in batch]
        try:
            answer = self.client.put_records(StreamName=self.stream, Records=records)
        except (BotoCoreError, ClientError) as error:
            # It may have been taken: not known, so not marked; sending it again does no harm.
            return [Sent(one.dead_letter_id, None, str(error)) for one in batch]
        return [self._sent(one, said) for one, said in zip(batch, answer["Records"], strict=True)]

    def _sent(self, one: Sendable, said: dict[str, str]) -> Sent:
        if said.get("ErrorCode"):
            return Sent(
                one.dead_letter_id, None, f"{said['ErrorCode']}: {said.get('ErrorMessage')}"
            )
        to = f"{self.name}/{said['ShardId']}/{said['SequenceNumber']}"
        return Sent(one.dead_letter_id, to, None)


class KafkaSource:
    """A Kafka topic, written idempotently and acknowledged by all in-sync replicas."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self.producer, self.topic = producer, topic
        self.name = f"kafka:{topic}"

    def send(self, batch: Sequence[Sendable]) -> list[Sent]:
        records: list[Record] = [(one.key.encode(), one.payload, []) for one in batch]
        receipts = deliver(self.producer, self.topic, records)
        return [Sent(one.dead_letter_id, *to) for one, to in zip(batch, receipts, strict=True)]


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
        sent = source.send(batch)
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


def open_source(conf: Conf) -> Source:
    """The stream that conf.source names, seen to be there."""
    if conf.source.kind == "kinesis":
        kinesis = KinesisSource(aws.listening(conf, "kinesis"), conf.source.kinesis.stream)
        kinesis.check()
        return kinesis
    topic = conf.source.kafka.topic
    return KafkaSource(_producer(conf, source_settings(conf), topic), topic)


def open_markers(conf: Conf) -> Markers:
    topic = conf.topic(topics.DEAD_LETTERS)
    return Markers(_producer(conf, client_settings(conf), topic), topic)


def _producer(conf: Conf, settings: dict[str, Any], topic: str) -> Producer:
    """A producer, after a look at ``topic`` that, unlike a producer's, does not create it."""
    group = {"group.id": conf.own_name("dlq"), "allow.auto.create.topics": False}
    looker = Consumer({**settings, **group})
    try:
        partitions(looker, topic, settings["bootstrap.servers"])
        return Producer(
            {
                **settings,
                "enable.idempotence": True,
                "delivery.timeout.ms": DELIVERY_S * 1000,
                # The JVM's partitioner: a customer's record lands where its others are.
                "partitioner": "murmur2_random",
                "linger.ms": 5,
            }
        )
    finally:
        looker.close()
