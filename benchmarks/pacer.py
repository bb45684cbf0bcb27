"""Sends sales at a given rate from a process of its own, each with its number as id and now as its time.

A sale's event comes back with both, so whoever reads events needs nothing from the sender to know how
late each is and which are missing. The baskets and customers are a simulator's, used over and over, as tills
send them or as the front door writes them.
"""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.sharedctypes import Synchronized
from typing import Any

from benchmarks import front_door
from tillstream.clients.delivery import open_producer
from tillstream.sim.simulator import Simulator

TICK_S = 0.005
ID = "bench-{:012d}"
# The times in a sale's bytes, in order: as a till sends it, and as the front door writes it.
TIMES = (b'"event_time_ms":',)
TIMES_CHECKED = (b'"ended_ms":', b'"arrived_ms":')
Parts = tuple[bytes, bytes, list[bytes]]
_spawn = multiprocessing.get_context("spawn")


def number(transaction_id: str) -> int:
    """Of an id that was made here."""
    return int(transaction_id.rpartition("-")[2])


def baskets(count: int, customers: int, checked: bool = False) -> list[Parts]:
    """(key, and a sale's bytes before its id, and what is around its times): sales of customers, nothing
    redeemed or brought back, so that each makes an event."""
    traffic = Simulator(
        "normal", seed=4, count=count, customers=customers, rate=1_000,
        refunds=0, voids=0, redemptions=0,
    )  # fmt: skip
    made = []
    for sent in traffic:
        assert sent.record is not None
        if "customer_id" in sent.record:
            key, raw = front_door.checked(sent.raw) if checked else (sent.key, sent.raw)
            made.append((key.encode(), *split(raw, TIMES_CHECKED if checked else TIMES)))
    return made


def split(raw: bytes, times: tuple[bytes, ...]) -> tuple[bytes, list[bytes]]:
    before, mark, rest = raw.partition(b'"transaction_id":"')
    _, quote, rest = rest.partition(b'"')
    around, rest = [], quote + rest
    for time_mark in times:
        between, found, rest = rest.partition(time_mark)
        around.append(between + found)
        rest = rest.lstrip(b"0123456789")
    return before + mark, [*around, rest]


class Pacer(_spawn.Process):
    """``plan``: (sales a second, seconds), one after the other; the last goes on until ``stop``."""

    def __init__(
        self, bootstrap: str, topic: str, plan: list[tuple[float, float]], count: int,
        customers: int, checked: bool,
    ) -> None:  # fmt: skip
        super().__init__(daemon=True)
        self._brokers, self._topic, self._plan = bootstrap, topic, plan
        self._of = (count, customers, checked)
        self.sent: Synchronized[int] = _spawn.Value("q", 0)
        self._ready, self._go, self._stop = _spawn.Event(), _spawn.Event(), _spawn.Event()
        self.start()

    def go(self) -> None:
        """Returns once the first sale may go out."""
        if not self._ready.wait(300):
            raise RuntimeError("the sender did not begin")
        self._go.set()

    def stop(self) -> int:
        """How many were sent and taken by the broker."""
        self._stop.set()
        self.join(90)
        if self.exitcode != 0:
            raise RuntimeError(f"the sender ended with {self.exitcode}")
        return self.sent.value

    def run(self) -> None:
        made = baskets(*self._of)
        failed: list[Any] = []
        producer = open_producer(
            {
                "bootstrap.servers": self._brokers,
                "linger.ms": 5,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 200_000,
                "delivery.report.only.error": True,
                "on_delivery": lambda error, message: failed.append(error),
            }
        )
        self._ready.set()
        self._go.wait()
        n = 0
        for place, (rate, seconds) in enumerate(self._plan):
            began, first = time.monotonic(), n
            last = place == len(self._plan) - 1
            while not self._stop.is_set() and (last or time.monotonic() - began < seconds):
                due = first + int((time.monotonic() - began) * rate)
                now = b"%d" % (time.time_ns() // 1_000_000)
                while n < due:
                    key, before, around = made[n % len(made)]
                    raw = before + ID.format(n).encode() + now.join(around)
                    try:
                        producer.produce(self._topic, raw, key)
                    except BufferError:  # the broker is slower: wait, and be late as a till would
                        producer.poll(0.05)
                        continue
                    n += 1
                self.sent.value = n
                producer.poll(0)
                time.sleep(TICK_S)
        producer.flush(60)
        if failed or len(producer):
            raise SystemExit(f"{len(failed) + len(producer)} sales did not reach the broker")
