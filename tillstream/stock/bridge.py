"""From the stream of the hot stock table to the topic of stock movements.

Shards take turns, a page each, so a busy one holds up no other. The position of a shard is written once
its page is in Kafka. After a crash a page may be read again and makes the same documents with the same
ids, which the inventory job knows: a correction counts once.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import orjson
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
)
from confluent_kafka import KafkaException

from tillstream.catalog import tables, topics
from tillstream.cli.times import now_ms
from tillstream.clients import aws as clients
from tillstream.clients.delivery import Writer, must_be_there, open_producer
from tillstream.clients.kafka import client_settings
from tillstream.conf import Conf
from tillstream.domain.dead_letter import dead_letter, kafka_record
from tillstream.domain.envelope import Envelope
from tillstream.domain.transaction import InvalidTransaction
from tillstream.errors import Unreachable
from tillstream.stock.corrections import correction
from tillstream.stock.stream import BridgeError, Page, Shard, ShardGone, TableStream, Turn

JOB = "bridge"  # in dead letters
LIST_SECONDS = 10.0  # between looks for new shards, unless one has closed
FLUSH_SECONDS, SAY_FLUSHES = 1.0, 30
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 60.0
ONCE_ATTEMPTS = 6  # of `once`, for which a person waits
# Nothing is given up for lack of an answer: it would be sent again behind what came after it.
PATIENT = {"delivery.timeout.ms": 0}
PASSING = ("LimitExceededException", "ProvisionedThroughputExceededException",
           "RequestLimitExceeded", "ExpiredIteratorException", "TrimmedDataAccessException",
           "InternalServerError")  # fmt: skip


class Undelivered(Exception):
    """Kafka has given up a record: its page is read again."""


# What may be gone at the next attempt, see `_passes`.
TRIED_AGAIN = (ClientError, BotoCoreError, KafkaException, Undelivered, Unreachable, ShardGone)


class Writers(NamedTuple):
    """Of one producer: a flush of one is a flush of both."""

    corrections: Writer
    letters: Writer


class Bridge:
    """open_writers: called before the first record, and again after Kafka has refused one. ``said`` gets
    a line at a time. stop: set from outside."""

    def __init__(
        self,
        stream: TableStream,
        open_writers: Callable[[], Writers],
        said: Callable[[str], None],
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._stream, self._open_writers, self._said = stream, open_writers, said
        self._stop, self._clock, self._now_ms = stop, clock, now_ms
        self._writers: Writers | None = None
        self._listing = Turn()
        self._until_ms: int | None = None
        self._sent = 0

    def once(self) -> int:
        """Through all that is there now; the number of corrections sent. Somebody waits for it, so what
        fails is tried again a few times only. Raises BridgeError."""
        self._until_ms = self._now_ms()
        while not self._stop.is_set() and not self._has_all():
            self._round(0.0)
        return self._sent

    def run(self, poll_seconds: float) -> None:
        """Until it is stopped. What fails for a while is tried again without end.

        Raises BridgeError where trying again is of no use.
        """
        while not self._stop.is_set():
            before = self._sent
            self._round(poll_seconds)
            if self._sent > before:
                self._said(f"{self._sent - before} corrections sent")

    def _has_all(self) -> bool:
        """Of what ``once`` is for."""
        listed = self._listing.ready_at > self._clock() and not self._listing.failures
        return self._until_ms is not None and listed and not self._shards()

    def _shards(self) -> list[Shard]:
        """Those to be read, now or later."""
        return [
            shard
            for shard in self._stream.readable()
            if self._until_ms is None or not shard.has_all_of(self._until_ms)
        ]

    def _round(self, poll_seconds: float) -> None:
        """A page of each shard whose turn it is, then a wait for whose turn comes next."""
        self._take(self._listing, "the list of shards", self._list)
        for shard in self._shards():
            if not self._stop.is_set():
                step = partial(self._step, shard, poll_seconds)
                self._take(shard, f"shard {shard.name}", step)
        turns: list[Turn] = [self._listing, *self._shards()]
        wait_s = min(turn.ready_at for turn in turns) - self._clock()
        if wait_s > 0 and not self._has_all():
            self._stop.wait(wait_s)

    def _take(self, turn: Turn, what: str, step: Callable[[], None]) -> None:
        """``step``, if it is its turn. Should it fail, it comes again after a pause."""
        if turn.ready_at > self._clock():
            return
        try:
            step()
        except TRIED_AGAIN as error:
            turn.failures += 1
            patient = self._until_ms is None or turn.failures < ONCE_ATTEMPTS
            if not (patient and _passes(error)):
                raise BridgeError(
                    f"the stream of DynamoDB table {self._stream.table} cannot be brought to Kafka: "
                    f"{what}: {error}"
                ) from None
            longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(turn.failures - 1, 10))
            pause_s = longest * (0.5 + random.random() / 2)
            turn.ready_at = self._clock() + pause_s
            self._said(f"{what}: {error}; tried again in {pause_s:.1f} s")
        else:
            if turn.failures:
                self._said(f"{what}: goes on")
            turn.failures = 0

    def _list(self) -> None:
        self._stream.refresh()
        self._listing.ready_at = self._clock() + LIST_SECONDS

    def _step(self, shard: Shard, poll_seconds: float) -> None:
        """The next page of ``shard``: in Kafka first, then its position is written."""
        try:
            page = self._stream.read(shard)
        except ShardGone:
            self._listing.ready_at = 0.0
            raise
        if not self._hand_on(shard, page):
            return
        self._stream.handed_on(shard, page)
        if page.next is None:
            self._listing.ready_at = 0.0  # its children, if it has any
        soon = shard.behind(self._now_ms())
        shard.ready_at = self._clock() + (0.0 if soon else poll_seconds)

    def _hand_on(self, shard: Shard, page: Page) -> bool:
        """Whether Kafka has what the page says; not if told to stop while waiting for it."""
        made: list[tuple[str, bytes]] = []
        letters: list[tuple[str, bytes, list[tuple[str, str | bytes | None]]]] = []
        for record in page.records:
            try:
                if found := correction(record):
                    made.append(found)
            except InvalidTransaction as error:
                letters.append(self._letter(shard, record, error))
        if not made and not letters:
            return True
        writers = self._writers = self._writers or self._open_writers()
        try:
            for correct in made:
                writers.corrections.send(*correct)
            for key, value, headers in letters:
                writers.letters.send(key, value, headers=headers)
            delivered = self._delivered(writers)
        except (KafkaException, Undelivered):
            self._writers = None  # what of it waits must not come after what is sent again
            writers.corrections.drop()
            raise
        if delivered:
            self._sent += len(made)
            for key, *_ in letters:
                self._said(f"a change that cannot be used is a dead letter: {key}")
        return delivered

    def _delivered(self, writers: Writers) -> bool:
        for tries in count(1):
            left = writers.corrections.flush(FLUSH_SECONDS)
            if problem := writers.corrections.problem or writers.letters.problem:
                raise Undelivered(f"Kafka does not take a record ({problem})")
            if not left:
                return True
            if self._stop.is_set():
                return False
            if tries % SAY_FLUSHES == 0:
                self._said(f"Kafka does not answer, it is waited for ({left})")
                if self._until_ms is not None:
                    raise BridgeError(f"Kafka does not answer ({left}): see `tillstream status`")
        raise AssertionError("not reached")

    def _letter(
        self, shard: Shard, record: dict[str, Any], error: InvalidTransaction
    ) -> tuple[str, bytes, list[tuple[str, str | bytes | None]]]:
        """Key, value and headers of a record's dead letter."""
        change = record["dynamodb"]
        origin = f"dynamodb:{self._stream.table}/{shard.name}/{change['SequenceNumber']}"
        raw = orjson.dumps(record, default=str)
        now_ms = self._now_ms()
        envelope = Envelope(origin, now_ms, raw)
        letter = dead_letter(envelope, JOB, "validate", error.reason, error.message, 1, now_ms)
        return kafka_record(letter)


def _passes(error: Exception) -> bool:
    """Whether it may be gone at the next attempt."""
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or "Throttl" in code or code in PASSING
    if isinstance(error, BotoCoreError):
        return isinstance(error, (ConnectionError, HTTPClientError, CredentialRetrievalError))
    return True


def open_bridge(conf: Conf, said: Callable[[str], None], stop: threading.Event) -> Bridge:
    """From conf. Raises Unreachable when Kafka or a topic is not there."""
    settings = client_settings(conf)
    names = [conf.topic(topic) for topic in (topics.STOCK_MOVEMENTS, topics.DEAD_LETTERS)]
    for name in names:
        must_be_there(settings, name, conf.own_name(JOB))

    def writers() -> Writers:
        producer = open_producer(client_settings(conf) | PATIENT)
        return Writers(*(Writer(producer, name) for name in names))

    stream = TableStream(
        # Tried once: there is a pause here, too, that does not keep one from stopping.
        clients.dynamodb(conf, attempts=1, read_timeout_s=5),
        clients.dynamodb_streams(conf, attempts=1, read_timeout_s=5),
        conf.table(tables.STOCK),
        conf.table(tables.STREAM_POSITIONS),
        said,
    )
    return Bridge(stream, writers, said, stop)
