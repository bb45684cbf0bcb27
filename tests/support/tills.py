"""Tills of a test: transactions as a till sends them, put to Kafka, and what jobs answer there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from tests.support import sales
from tests.support.sales import CARD
from tests.support.wait import wait_for
from tillstream.clients.delivery import open_producer
from tillstream.conf import Conf

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000


def today_ms() -> int:
    """The last midnight UTC, which is 02:00 in South Africa, that is an hour ago: what is of that hour is
    not of the future."""
    return (time.time_ns() // 1_000_000 - HOUR_MS) // DAY_MS * DAY_MS


def sale(transaction_id: str, at_ms: int, cents: int, **changes: Any) -> dict[str, Any]:
    """A card sale of groceries at store 23, till 4."""
    return sales.sale(transaction_id, at_ms, cents, **CARD | changes)


def evenings(customer: str, name: str, first_cents: int, last_cents: int, **changes: Any) -> list:
    """Twenty visits between 18:00 and 20:00 in South Africa, on the days before today."""
    start = today_ms() - 20 * DAY_MS + 16 * HOUR_MS
    span = last_cents - first_cents
    return [
        sale(
            f"{name}-{n:04d}", start + n * DAY_MS + n % 6 * 20 * MINUTE_MS,
            first_cents + n * 7 % 20 * span // 19, customer_id=customer, **changes,
        )
        for n in range(20)
    ]  # fmt: skip


class Tills:
    """Puts documents to a topic keyed by customer, as the simulator does."""

    def __init__(self, conf: Conf, topic: str | None = None) -> None:
        self.topic = topic or conf.source.kafka.topic
        self._producer = open_producer(
            {"bootstrap.servers": conf.kafka.bootstrap or "", "linger.ms": 1}
        )

    def send(self, documents: Iterable[dict[str, Any]], rate: float | None = None) -> None:
        """``rate``: documents a second, None as fast as may be."""
        began = time.monotonic()
        for n, document in enumerate(documents):
            key = document.get("customer_id") or document["transaction_id"]
            self._producer.produce(self.topic, json.dumps(document).encode(), key.encode())
            self._producer.poll(0)
            if rate:
                ahead = began + n / rate - time.monotonic()
                if ahead > 0.002:
                    time.sleep(ahead)
        assert self._producer.flush(30) == 0


class Tap:
    """Reads a topic of JSON from its start; keeps what it has read."""

    def __init__(self, conf: Conf, topic: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": conf.kafka.bootstrap or "", "group.id": "tap"}
        )
        partitions = self._consumer.list_topics(topic, 10).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        self.seen: list[dict[str, Any]] = []

    def wait(
        self, wanted: Callable[[dict[str, Any]], bool], count: int = 1, timeout_s: float = 180
    ) -> list[dict[str, Any]]:
        """The first ``count`` documents that are ``wanted``, of all read so far."""

        def look() -> list[dict[str, Any]]:
            for message in self._consumer.consume(1000, 0.05):
                if message.error() is None:
                    self.seen.append(json.loads(message.value() or b""))
            return [document for document in self.seen if wanted(document)]

        return wait_for(
            look, timeout_s, f"{count} documents", lambda found: len(found) >= count, every_s=0
        )

    def close(self) -> None:
        self._consumer.close()
