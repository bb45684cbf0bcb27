"""The loop around the notifier: batches from Kafka, dead letters for what is no notice, commits."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from tillstream.catalog import topics
from tillstream.cli.times import now_ms
from tillstream.clients.delivery import Writer, open_producer
from tillstream.clients.kafka import COMMITTED, client_settings, partitions
from tillstream.conf import Conf
from tillstream.domain.dead_letter import dead_letter as as_dead_letter
from tillstream.domain.dead_letter import kafka_record
from tillstream.domain.envelope import Envelope
from tillstream.domain.notice import (
    InvalidNotice,
    Notice,
    parse,
    without_personal_data,
)
from tillstream.errors import Unreachable
from tillstream.notify.notifier import Notifier, Stopped

BATCH = 200
POLL_S = 0.5
DELIVERY_S = 20.0
_RETRIABLE = (KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS,
              KafkaError.UNKNOWN_MEMBER_ID, KafkaError._NO_OFFSET)  # fmt: skip


class Service:
    """Reads the topics as one of a consumer group. A batch's offsets are committed once each of its
    notices has an outcome, so a crash reads some again, and the log of sent notices knows them. The group
    gives a partition, so a recipient, to another only between two batches."""

    def __init__(self, conf: Conf, notifier: Notifier, stop: threading.Event) -> None:
        self._conf, self._notifier, self._stop = conf, notifier, stop
        self.outcomes: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._topics = [conf.topic(one) for one in topics.TO_NOTIFY]
        self._letters = Writer(self._producer(), conf.topic(topics.DEAD_LETTERS))
        self._consumer = self._reader()

    def _producer(self) -> Producer:
        own = {"delivery.timeout.ms": int(DELIVERY_S * 1000)}
        return open_producer(client_settings(self._conf) | own)

    def _reader(self) -> Consumer:
        conf = self._conf
        return Consumer(
            {
                **client_settings(conf),
                **COMMITTED,
                "group.id": conf.own_name("notify", self._topics[0]),
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": "cooperative-sticky",
                # A batch at the slowest pace, with backoff, takes minutes.
                "max.poll.interval.ms": 900_000,
                "allow.auto.create.topics": False,
            }
        )

    def run(
        self, until_idle_s: float | None = None, progress: Callable[[Counter[str]], None] = print
    ) -> None:
        """Until told to stop, or until nothing came for ``until_idle_s``.

        Raises Unavailable from the notifier, Unreachable when Kafka or the topic is not there.
        """
        try:
            for topic in self._topics:
                partitions(self._consumer, topic, self._conf.kafka.bootstrap)
            self._consumer.subscribe(self._topics)
            heard = told = time.monotonic()
            while not self._stop.is_set():
                batch = self._poll()
                now = time.monotonic()
                if batch:
                    self._handle(batch)
                    heard = time.monotonic()
                elif not self._consumer.assignment():
                    heard = now  # who has no partitions yet cannot say that it is quiet
                elif until_idle_s is not None and now - heard > until_idle_s:
                    break
                if now - told > 10 and self.outcomes:
                    progress(self.outcomes)
                    told = now
        except Stopped:
            pass
        finally:
            self._consumer.close()

    def _poll(self) -> list[Message]:
        good = []
        for message in self._consumer.consume(BATCH, POLL_S):
            error = message.error()
            if error is None:
                good.append(message)
            elif error.fatal() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise KafkaException(error)
        return good

    def _handle(self, batch: list[Message]) -> None:
        """Each recipient's notices in order, recipients side by side."""
        mine: dict[str, list[Notice]] = defaultdict(list)
        for message in batch:
            try:
                found = parse(message.value() or b"")
            except InvalidNotice as error:
                self._bury(message, error)
            else:
                mine[found.recipient].append(found)
        if problem := self._letters.flush(DELIVERY_S):
            raise Unreachable(
                f"dead letters cannot be written ({problem}): see `tillstream status`. Nothing was lost, "
                "`tillstream notify run` goes on from here"
            )
        with ThreadPoolExecutor(self._conf.notify.workers) as pool:
            # Where one fails, map() raises it and does not begin the others that wait.
            list(pool.map(self._in_order, mine.values()))
        self._commit()

    def _in_order(self, notices: list[Notice]) -> None:
        for one in notices:
            outcome = self._notifier.handle(one)
            with self._counting:
                self.outcomes[outcome] += 1

    def _bury(self, message: Message, error: InvalidNotice) -> None:
        origin = f"kafka:{message.topic()}/{message.partition()}/{message.offset()}"
        raw = without_personal_data(message.value() or b"")
        envelope = Envelope(origin, message.timestamp()[1], raw)
        letter = as_dead_letter(
            envelope, "notifier", "validate", error.reason, error.message, 1, now_ms()
        )
        key, value, headers = kafka_record(letter)
        self._letters.send(key, value, headers=headers)
        self.outcomes["dead letters"] += 1

    def _commit(self) -> None:
        try:
            self._consumer.commit(asynchronous=False)
        except KafkaException as error:
            # Another has taken over our partitions: it reads these again, and they are known.
            if error.args[0].code() not in _RETRIABLE:
                raise
