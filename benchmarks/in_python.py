"""The jobs' Python stages without an engine: what a record costs there, and what a key's state takes.

Each stage is called as BatchedPython.java calls it, with the same bytes, 128 records at a time, states
in a dict. Packing a batch and unpacking what comes back is the JVM's work and is not timed; nor is what
the JVM does before Python, so inventory begins with the lines of baskets. Intake is given contract v1 as
tills send it, every other job what the front door makes of that.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator
from struct import Struct
from typing import Any

import orjson

from benchmarks import front_door
from tillstream import conf as settings
from tillstream.catalog import topics
from tillstream.domain.envelope import seal
from tillstream.domain.fraud.counters import observe
from tillstream.domain.transaction import Transaction, parse
from tillstream.fraud.texts import starting
from tillstream.sim.simulator import Simulator
from tillstream.state_schemas.keyed import fraud_counters
from tillstream.udfs import fraud, intake, inventory, loyalty, shortage
from tillstream.udfs.batched import HEAD, MADE, OUTPUT, STATE, BatchedStage
from tillstream.udfs.passing.stock import LINE

T0 = 1_764_000_000_000
BATCH = 128
STORES = 20
SALES_A_DAY = 1_724  # of a store: the same 5 million over 2,900 stores
VISITS_A_DAY = 1 / 8  # of a customer: 5 million transactions a day of 40 million customers
_PAIR, _INT = Struct(">ii"), Struct(">i")
Keyed = tuple[str, bytes]


class Stage:
    """One batched stage. ``states``: key -> bytes; ``cpu_s``: what its calls have taken."""

    def __init__(self, name: str, function: BatchedStage) -> None:
        function.settings = function.settings._replace(thread_mode=False)
        function.open(self)
        self.name, self._call = name, function.process_element1
        self.states: dict[str, bytes] = {}
        self.cpu_s = 0.0

    # What functions ask of their context.
    def get_index_of_this_subtask(self) -> int:
        return 0

    def get_number_of_parallel_subtasks(self) -> int:
        return 1

    def run(self, records: list[Keyed]) -> list[bytes]:
        """The main output of all ``records``."""
        out: list[bytes] = []
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            keys = list(dict.fromkeys(key for key, _ in batch))
            packed = self._packed(keys, batch)
            began = time.thread_time()
            made = self._call(packed, None)
            self.cpu_s += time.thread_time() - began
            self._take(b"".join(made), keys, out)
        return out

    def _packed(self, keys: list[str], batch: list[Keyed]) -> bytes:
        parts = [HEAD.pack(len(keys), len(batch), T0)]
        for key in keys:
            name, state = key.encode(), self.states.get(key)
            parts += (_INT.pack(len(name)), name)
            parts += (_INT.pack(-1),) if state is None else (_INT.pack(len(state)), state)
        numbers = {key: n for n, key in enumerate(keys)}
        for key, value in batch:
            parts += (_PAIR.pack(numbers[key], len(value)), value)
        return b"".join(parts)

    def _take(self, made: bytes, keys: list[str], out: list[bytes]) -> None:
        at = 0
        while at < len(made):
            kind, _, number, length = MADE.unpack_from(made, at)
            at += MADE.size
            if kind == STATE:
                self.states[keys[number]] = made[at : at + length]
            elif kind == OUTPUT and number == 0:
                out.append(made[at : at + length])
            at += length


def simulated(
    count: int, customers: int, seed: int, stores: int | None = None, daily: int = SALES_A_DAY,
    start_ms: int | None = None,
) -> Simulator:  # fmt: skip
    """Traffic of ``customers`` who shop as often as a grocer's do, whatever the rate it is put at; or of
    so many ``stores``, ``daily`` each. Without ``start_ms`` the last is of now."""
    rate = (stores * daily if stores else customers * VISITS_A_DAY) / 86_400
    if start_ms is None:
        start_ms = int((time.time() - count / rate) * 1000)
    return Simulator(
        "normal", seed=seed, count=count, customers=customers, rate=rate, start_ms=start_ms,
        stores=stores,
    )  # fmt: skip


def sale(
    transaction_id: str, store: int, event_time_ms: int, lines: list[dict[str, Any]], **more: str
) -> bytes:
    """A sale for cash, as a till sends it; ``more``: fields of its own."""
    return orjson.dumps(
        {
            "schema": 1,
            "transaction_id": transaction_id,
            "store": store,
            "region": "western-cape",
            "till": 3,
            "payment_method": "cash",
            "event_time_ms": event_time_ms,
            "currency": "ZAR",
            "lines": lines,
            "total_cents": sum(line["quantity"] * line["unit_price_cents"] for line in lines),
            "kind": "sale",
            **more,
        }
    )


class Traffic:
    """``count`` transactions of customers who shop as often as a grocer's do, ``visits`` each; or of the
    first ``stores`` alone, ``daily`` each. ``sent``: as the source hands them to intake; ``sealed``: what
    comes of them, as it hands that to all others."""

    def __init__(
        self, count: int, visits: float = 10.0, seed: int = 5,
        stores: int | None = None, daily: int = SALES_A_DAY, start_ms: int = T0,
    ) -> None:  # fmt: skip
        customers = max(int(count / visits), 1)
        sent = simulated(count, customers, seed, stores, daily, start_ms)
        self.count = count
        self.raw = [one.raw for one in sent]
        self.sales = [parse(raw) for raw in self.raw]
        self.sent = [
            seal(f"kafka:tills/{n % 4}/{n}", sale.event_time_ms + front_door.WAY_MS, raw)
            for n, (sale, raw) in enumerate(zip(self.sales, self.raw, strict=True))
        ]
        self.sealed = [
            seal(f"kafka:transactions/{n % 4}/{n}", sale.event_time_ms + 60, front_door.canonical(sale)[1])
            for n, sale in enumerate(self.sales)
        ]  # fmt: skip


class Stores:
    """Some stores as the shortage job knows them after nine days of few baskets, which is not timed, and
    ``count`` transactions as fast as a store sells, each followed by what the stock ledger says."""

    def __init__(self, count: int, conf: settings.Conf) -> None:
        topic = conf.topic(topics.STOCK_CHANGES)
        self._ledger = Stage("stock", inventory.ledger(conf))
        before = Traffic(
            STORES * 60 * 9, seed=6, stores=STORES, daily=60, start_ms=T0 - 9 * 86_400_000
        )
        known = Stage("store-watch", shortage.shelf_watch(conf))
        known.run(self._told(before, topic))
        self.states = known.states
        self.records = self._told(Traffic(count, seed=7, stores=STORES), topic)

    def _told(self, traffic: Traffic, topic: str) -> list[Keyed]:
        records = []
        for sale, value in zip(traffic.sales, traffic.sealed, strict=True):
            store, at_ms = str(sale.store), sale.event_time_ms
            moved = list(lines(sale))
            for key in {key for key, _ in moved} - self._ledger.states.keys():
                line = ["count", f"count/{key}", sale.store, key.split("/")[1], 9_999, at_ms - 1]
                self._ledger.run([(key, LINE + orjson.dumps(line))])
            records.append((store, value))
            for n, entry in enumerate(self._ledger.run(moved)):
                records.append((store, seal(f"kafka:{topic}/{n}/{at_ms}", at_ms + 100, entry)))
        return records


Run = dict[str, Stage]


def run_intake(traffic: Traffic, conf: settings.Conf) -> Run:
    stage = Stage("intake-mark", intake.intake_once(conf))
    pairs = zip(traffic.sales, traffic.sent, strict=True)
    stage.run([(sale.transaction_id, value) for sale, value in pairs])
    return {stage.name: stage}


def run_loyalty(traffic: Traffic, conf: settings.Conf) -> Run:
    stage = Stage("loyalty-account", loyalty.ledger(conf))
    stage.run(
        [
            (sale.customer_id or f"~{n % 720}", value)
            for n, (sale, value) in enumerate(zip(traffic.sales, traffic.sealed, strict=True))
        ]
    )
    return {stage.name: stage}


def run_fraud(traffic: Traffic, conf: settings.Conf) -> Run:
    stages = fraud_stages(conf)
    records: list[Keyed] = [
        (f"{sale.store}:{sale.till}", value)
        for sale, value in zip(traffic.sales, traffic.sealed, strict=True)
    ]
    for start in range(0, len(records), BATCH):
        through(stages, records[start : start + BATCH])
    return {stage.name: stage for stage in stages}


def fraud_stages(conf: settings.Conf) -> list[Stage]:
    judge = fraud.judge(conf, *starting(conf))
    return [
        Stage("fraud-till", fraud.at_till(conf)),
        Stage("fraud-card", fraud.by_card(conf)),
        Stage("fraud-profile", judge),
    ]


def through(stages: list[Stage], records: list[Keyed]) -> None:
    """One batch through one stage after the other, as records flow."""
    for stage in stages:
        records = [_keyed(value) for value in stage.run(records)]


def _keyed(value: bytes) -> Keyed:
    key, _, rest = value.partition(b"\n")
    return key.decode(), rest


def run_inventory(traffic: Traffic, conf: settings.Conf) -> Run:
    stage = Stage("stock", inventory.ledger(conf))
    stage.run([line for sale in traffic.sales for line in lines(sale)])
    return {stage.name: stage}


def lines(sale: Transaction) -> Iterator[Keyed]:
    """As StockLines.java takes a basket apart."""
    sign = -1 if sale.kind == "sale" else 1
    for n, line in enumerate(sale.lines, 1):
        head = f'["{sale.kind}","{sale.transaction_id}/{n}",{sale.store},"{line.product}"'
        at_ms = sale.event_time_ms
        text = f'{head},{sign * line.quantity},{at_ms},null,{at_ms + 50},"each"]'
        yield f"{sale.store}/{line.product}", LINE + text.encode()


_stores: dict[int, Stores] = {}


def run_shortage(traffic: Traffic, conf: settings.Conf) -> Run:
    """As many transactions as ``traffic``, of few stores: what a store knows is what costs."""
    if traffic.count not in _stores:
        _stores[traffic.count] = Stores(traffic.count, conf)
    known = _stores[traffic.count]
    stage = Stage("store-watch", shortage.shelf_watch(conf))
    stage.states = dict(known.states)
    stage.run(known.records)
    return {stage.name: stage}


JOBS: dict[str, Any] = {
    "intake": run_intake,
    "loyalty": run_loyalty,
    "fraud": run_fraud,
    "inventory": run_inventory,
    "shortage": run_shortage,
}


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """States hold no cycles, and the product collects seldom: collections would be noise here."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def cost_us(stages: Run, traffic: Traffic) -> float:
    """Microseconds of CPU a transaction, over all stages."""
    return sum(stage.cpu_s for stage in stages.values()) / traffic.count * 1e6


def state_bytes(traffic: Traffic, conf: settings.Conf, job: str) -> dict[str, dict[str, float]]:
    """By state of the job: keys, and mean bytes a key as the codec writes them, after ``traffic``."""
    found = {}
    for name, stage in JOBS[job](traffic, conf).items():
        sizes = [len(state) for state in stage.states.values()]
        found[name] = {"keys": len(sizes), "bytes_a_key": sum(sizes) / max(len(sizes), 1)}
    return found


def busy_till_bytes() -> int:
    """Of a till that has sold every 2.6 s for 36 hours: its windows are full."""
    busy = None
    for n in range(50_000):
        busy, _ = observe(busy, n, T0 + n * 2_600, 40_000)
    assert busy is not None
    return len(fraud_counters.encode(busy))
