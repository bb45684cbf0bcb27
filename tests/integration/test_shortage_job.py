"""A Saturday on which bread sells twice as fast: stores A, B and C are told each at its own moment,
store D has bread only in the books, the region hears of it once; on real protocols."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.sales import line, sale
from tests.support.shop import Shop
from tests.support.wait import wait_for
from tillstream.catalog import topics
from tillstream.catalog.apart import apart
from tillstream.check.platform import Platform
from tillstream.clients.delivery import open_producer
from tillstream.domain.demand.model import DAY_MS, HOUR_MS

BREAD, MILK = "2000000000015", "2000000000404"
MINUTE_MS = 60_000
A, B, C, D = 101, 102, 103, 104
LOAVES = {A: 40, B: 45, C: 50, D: 300}
GONE = {A: 10.0, B: 10.25, C: 10.5}  # 20 loaves an hour from eight on
# The story is days old: levels arrive as old as they are.
RULES = {"stale_minutes": 100_000}
TODAY = int(time.time() * 1000) // DAY_MS
SATURDAY = TODAY - 1 - (TODAY - 1 - 2) % 7  # day 2 of the epoch was one


def at(hour: float, day: int = SATURDAY) -> int:
    """An hour of the stores' clock, two hours ahead of UTC."""
    return day * DAY_MS + round((hour - 2) * HOUR_MS)


class BreadShop(Shop):
    """Inventory and shortage on topics of their own; whatever is sent is stamped with its own time."""

    def __init__(self, stack: Any, folder: Path):
        own = apart("bread")
        super().__init__(
            stack, "bread", folder, "kafka",
            kafka=own["kafka"],
            # What is days old waits for newer versions.
            dynamodb=own["dynamodb"] | {"replay_hold_ms": 2_000},
            s3=own["s3"],
            shortage=RULES | {"lead_minutes": 30},
        )  # fmt: skip
        self.kafka = {"bootstrap.servers": self.conf().kafka.bootstrap}
        self.producer = open_producer(self.kafka | {"queue.buffering.max.messages": 1_000_000})
        self.number = self.changes = 0

    def sell(self, store: int, at_ms: int, bread: bool) -> None:
        """A basket of milk, and bread or not; one in fifty is sent twice."""
        self.number += 1
        products = [(MILK, "dairy"), *([(BREAD, "bakery")] if bread else [])]
        sold = sale(
            f"{store:04d}-03-20251124-{self.number:06d}", at_ms, store=store, region="gauteng",
            customer_id=None, lines=[line(p, 1, 100, c) for p, c in products],
        )  # fmt: skip
        for _ in range(2 if self.number % 50 == 0 else 1):
            self._send(self.conf_topic, str(store), sold, at_ms)
        self.changes += len(products)

    def count(self, store: int, loaves: int, at_ms: int, kind: str = "count") -> None:
        self.number += 1
        document = {
            "schema": 1, "document_id": f"document-{self.number:06d}", "kind": kind,
            "store": store, "event_time_ms": at_ms,
            "lines": [{"product": BREAD, "quantity": loaves}],
        }  # fmt: skip
        self._send(self.topics["stock_movements"], str(store), document, at_ms)
        self.changes += 1

    @property
    def conf_topic(self) -> str:
        return self.overrides["source"]["kafka"]["topic"]

    @property
    def topics(self) -> dict[str, str]:
        return self.overrides["kafka"]["topics"]

    def _send(self, topic: str, key: str, record: dict[str, Any], at_ms: int) -> None:
        self.producer.produce(topic, json.dumps(record).encode(), key, timestamp=at_ms)
        self.producer.poll(0)

    def caught_up(self, timeout_s: float = 120) -> None:
        """Until the inventory job has told a level for all that was sent, and it was heard."""
        assert self.producer.flush(30) == 0
        self.wait_for_entries(self.changes, timeout_s, topics.STOCK_CHANGES)
        time.sleep(0.4)  # what the shortage job has read shows nowhere before its next checkpoint

    def notices(self) -> list[dict[str, Any]]:
        """The shortage job's notices so far, each id once, in order of event time."""
        found: dict[str, dict[str, Any]] = {}
        for message in Platform(self.conf()).messages(topics.NOTICES):
            notice = json.loads(message.value() or b"")
            if notice["template"].startswith(("shelf_", "regional_")):
                found[notice["notice_id"]] = notice
        return sorted(found.values(), key=lambda one: one["event_time_ms"])


def test_a_saturday_without_enough_bread(stack, tmp_path):
    stack.up(taskmanagers=3)
    shop = BreadShop(stack, tmp_path)
    try:
        story(shop)
    finally:
        shop.close()


def story(shop: BreadShop) -> None:
    shop.submit("inventory")
    shop.submit("shortage")
    for day in range(SATURDAY - 10, SATURDAY):  # 30 baskets an hour, ten of them with bread
        for n in range(300):
            for store in LOAVES:
                shop.sell(store, at(8 + n / 30, day) + store, n % 3 == 0)
    for store, loaves in LOAVES.items():
        shop.count(store, loaves, at(7))
    shop.caught_up()

    for n in range(0, 180):  # minutes from eight: twice the customers in A, B and C
        if n == 60:
            # The lead time is longer than was thought: the rule changes, what was learnt stays.
            shop.caught_up()
            shop.run("job", "stop", "shortage", "--savepoint")
            shop.change(shortage={"lead_minutes": 45})
            shop.run(
                "job", "restore", "shortage", "--from", "latest-savepoint", "--parallelism", "1"
            )
        for store in (A, B, C):
            has_bread = n % 3 == 0 and n // 3 < LOAVES[store]
            shop.sell(store, at(8 + n / 60) + store, has_bread)
        if n % 2 == 0:
            shop.sell(D, at(8 + n / 60) + D, n % 6 == 0 and n < 60)  # empty since nine, says nobody
        if n % 10 == 9:
            shop.caught_up()
    told = shop.notices()
    print("\n".join(f"{one['recipient']} {one['template']} {one['params']}" for one in told))

    moments = {}
    for store in (A, B, C):
        (warning,) = [
            one for one in told
            if one["recipient"] == f"store:{store}" and one["template"] == "shelf_running_out"
        ]  # fmt: skip
        moments[store] = warning["event_time_ms"]
        gone = at(GONE[store])
        assert 25 * MINUTE_MS < gone - warning["event_time_ms"] < 75 * MINUTE_MS
        assert abs(warning["params"]["run_out_ms"] - gone) < 25 * MINUTE_MS
        assert warning["params"]["lead_minutes"] == 45
        (empty,) = [
            one for one in told
            if one["recipient"] == f"store:{store}" and one["template"] == "shelf_sold_out"
        ]  # fmt: skip
        assert abs(empty["event_time_ms"] - gone) < 5 * MINUTE_MS
    assert moments[A] < moments[B] < moments[C]

    of_d = [one for one in told if one["recipient"] == f"store:{D}"]
    assert [one["template"] for one in of_d] == ["shelf_silent"]
    assert at(9.5) < of_d[0]["event_time_ms"] < at(10.5)

    (regional,) = [one for one in told if one["template"] == "regional_shortage"]
    assert regional["recipient"] == "team:supply"
    assert regional["params"]["stores"] == 3

    silent = "baskets in a row without it"
    shortages = partial(shop.run, "shortages")
    wait_for(lambda: shortages("--store", str(D)), 60, silent, lambda said: silent in said)
    assert "regional shortage" in shop.run("shortages", "--region", "gauteng")

    for store in LOAVES:
        shop.count(store, 400, at(11), "delivery")
    shop.caught_up()
    wait_for(shortages, 60, "nothing short", lambda said: "Nothing is short" in said)
