"""Readers that note when something could be read: records of a Kafka topic, items of DynamoDB."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from confluent_kafka import Consumer, TopicPartition

from benchmarks import front_door, output
from tillstream import conf as settings
from tillstream.catalog import tables
from tillstream.clients import aws as clients
from tillstream.clients.kafka import COMMITTED, partitions
from tillstream.sim.senders import KafkaSender
from tillstream.sim.simulator import Simulator

Document = dict[str, Any]


def reader(bootstrap: str | None, topic: str, settings: dict[str, Any]) -> Consumer:
    """Of a whole topic, from its beginning."""
    own = {"bootstrap.servers": bootstrap or "", "group.id": "bench", **COMMITTED}
    consumer = Consumer(own | settings)
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions(consumer, topic, bootstrap)])
    return consumer


class Reading(threading.Thread):
    """Takes what it reads of a topic, from its beginning until closed, with the time by ``clock``."""

    clock = staticmethod(time.perf_counter)
    WAIT_S = 0.005  # for more at once

    def __init__(self, conf: settings.Conf, topic: str) -> None:
        super().__init__(daemon=True)
        self._consumer = reader(conf.kafka.bootstrap, topic, {"fetch.wait.max.ms": 5})
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._over.is_set():
            for message in self._consumer.consume(1_000, timeout=self.WAIT_S):
                if message.error() is None:
                    self.take(orjson.loads(message.value()), self.clock())
        self._consumer.close()

    def take(self, document: Document, now: float) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._over.set()
        self.join(10)


class Told(Reading):
    """Notes when each cause was first told of.

    ``cause`` gives the cause of a document, None for one that does not matter; ``put`` holds when the
    awaited causes were put, in seconds of time.perf_counter.
    """

    def __init__(
        self, conf: settings.Conf, topic: str, cause: Callable[[Document], str | None]
    ) -> None:
        self._cause = cause
        self.put: dict[str, float] = {}
        self.seen: dict[str, float] = {}
        super().__init__(conf, topic)

    def take(self, document: Document, now: float) -> None:
        cause = self._cause(document)
        if cause in self.put:
            self.seen.setdefault(cause, now)

    def results(self) -> list[float]:
        """Milliseconds from put to told, of those that came within 20 s from now."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and len(self.seen) < len(self.put):
            time.sleep(0.1)
        self.close()
        return [(seen - self.put[cause]) * 1000 for cause, seen in self.seen.items()]

    def figures(self, rate: int) -> dict[str, Any]:
        """Percentiles of ``results`` at this ``rate``, and how many were told or lost."""
        found = self.results()
        lost = len(self.put) - len(found)
        return {"rate": rate, **output.percentiles("", found), "samples": len(found), "lost": lost}


def paced(records: Iterable[Any], rate: float) -> Iterator[Any]:
    """``records`` at ``rate`` a second."""
    start = time.perf_counter()
    for n, record in enumerate(records):
        ahead = start + n / rate - time.perf_counter()
        if ahead > 0.001:
            time.sleep(ahead)
        yield record


def send_and_note(
    sender: KafkaSender, rate: int, seconds: int, warm_s: int, checked: bool
) -> Iterator[Document]:
    """Sends simulated transactions at a steady ``rate``, as tills do, or if ``checked`` as the front door
    does; gives a dozen customers' a second, each as it is put, once the first ``warm_s`` of the seconds
    are over."""
    count = rate * seconds
    traffic = Simulator("normal", seed=2, count=count, customers=count, rate=rate)
    for n, sent in enumerate(paced(traffic, rate)):
        key, raw = front_door.checked(sent.raw) if checked else (sent.key, sent.raw)
        noted = n > rate * warm_s and n % max(rate // 12, 1) == 0
        if noted and sent.record and "customer_id" in sent.record:
            yield sent.record
        sender.send(key, raw)
    sender.close()


class HotItems:
    """Looks at hot items until they show a transaction: all that are awaited at once, 50 times a
    second, so that looking costs the machine the same whatever the latency is."""

    PAUSE_S = 0.02
    PATIENCE_S = 20.0

    def __init__(self, conf: settings.Conf):
        self._client = clients.dynamodb(conf)
        self._table = conf.table(tables.BALANCES)
        self._awaited: dict[str, tuple[str, float]] = {}
        self._new: queue.SimpleQueue[tuple[str, str, float]] = queue.SimpleQueue()
        self._found: list[float] = []
        self._over = False
        self.lost = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def watch(self, customer: str, transaction: str) -> None:
        self._new.put((customer, transaction, time.perf_counter()))

    def _look(self) -> None:
        while not (self._over and self._new.empty() and not self._awaited):
            while not self._new.empty():
                customer, transaction, since = self._new.get()
                self._awaited[customer] = (transaction, since)
            for item in self._items(list(self._awaited)[:100]):
                transaction, since = self._awaited[item["customer_id"]["S"]]
                if item["last_transaction_id"]["S"] == transaction:
                    self._found.append((time.perf_counter() - since) * 1000)
                    del self._awaited[item["customer_id"]["S"]]
            for customer, (_, since) in list(self._awaited.items()):
                if time.perf_counter() - since > self.PATIENCE_S:
                    del self._awaited[customer]
                    self.lost += 1
            time.sleep(self.PAUSE_S)

    def _items(self, customers: list[str]) -> list[Document]:
        if not customers:
            return []
        keys = [{"customer_id": {"S": customer}} for customer in customers]
        asked = {self._table: {"Keys": keys, "ConsistentRead": True}}
        return self._client.batch_get_item(RequestItems=asked)["Responses"][self._table]

    def results(self) -> list[float]:
        """Milliseconds from put to item, of those that were found."""
        self._over = True
        self._thread.join(60)
        return self._found


def stand_in(conf: settings.Conf, seconds: float = 8) -> float:
    """Conditional puts a second that the stand-in for DynamoDB takes from 8 threads."""
    client, table = clients.dynamodb(conf, pool=8), conf.table(tables.BALANCES)
    until = time.monotonic() + seconds

    def write(thread: int) -> int:
        puts = 0
        while time.monotonic() < until:
            client.put_item(
                TableName=table,
                Item={"customer_id": {"S": f"{thread}-{puts}"}, "version": {"N": "1"}},
                ConditionExpression="attribute_not_exists(version) OR version <= :v",
                ExpressionAttributeValues={":v": {"N": "1"}},
            )
            puts += 1
        return puts

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(write, range(8))) / seconds
