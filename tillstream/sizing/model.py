"""What a shop's traffic takes on AWS, from a model of cost that is kept as data.

size_model.json holds what was measured (by benchmarks/scaling.py, which writes it) and what is assumed,
each with where it comes from. Sizes in bytes, times in seconds, CPU in cores of the machine that the
figures come from.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

MODEL = Path(__file__).with_name("size_model.json")
DAYS_A_MONTH = 30.4
VISITS_A_DAY = 1 / 8  # of a customer: 5 million transactions a day of 40 million customers
# What Amazon's pages say of one shard, one KPU and one write unit.
SHARD_RECORDS, SHARD_BYTES = 1_000, 1_000_000  # in, a second
KPU_STORAGE = 50_000_000_000
WRITE_UNIT = 1_000
BATCH = 128  # records for which Python is called once (tillstream/connectors/batched.py)


class Shop(NamedTuple):
    """tx_per_second: at the busiest. products: shelves a store keeps."""

    tx_per_second: float
    customers: int
    stores: int
    products: int = 30_000
    tx_per_day: float | None = None

    @property
    def daily(self) -> float:
        return self.customers * VISITS_A_DAY if self.tx_per_day is None else self.tx_per_day


class JobSize(NamedTuple):
    """``cpu_us`` a transaction at so many workers; ``kpus``: with the one that orchestrates."""

    job: str
    cpu_us: float
    cores: float
    workers: int
    kpus: int
    state: float
    basis: str


class Size(NamedTuple):
    """shards: of the tills' stream, which intake alone reads. checked: bytes a second at the busiest that it
    writes to the topic `transactions`. write_units, items and monthly are by table or by stream, state by
    name."""

    shards: int
    checked: float
    jobs: list[JobSize]
    write_units: dict[str, float]
    items: dict[str, float]
    state: dict[str, float]
    monthly: dict[str, float]

    @property
    def kpus(self) -> int:
        return sum(job.kpus for job in self.jobs)


def load(path: Path = MODEL) -> dict[str, Any]:
    return json.loads(path.read_text())


def features(workers: int, customers: float, shards: float, stores: float) -> dict[str, float]:
    """What a transaction's cost is linear in.

    crossing: share of records that go from one worker to another. tenfold: of 100,000 customers.
    shards: beyond the four that most is measured with. stores: how many of them a worker's batch meets,
    to a record: each has its state read and written once for all its records in the batch.
    """
    a_worker = max(stores / workers, 1.0)
    return {
        "base": 1.0,
        "crossing": (workers - 1) / workers,
        "tenfold": math.log10(max(customers, 1) / 100_000),
        "shards": shards - 4.0,
        "stores": a_worker * (1 - (1 - 1 / a_worker) ** BATCH) / BATCH,
    }


def cpu_us(
    job: dict[str, Any], workers: int, customers: float, shards: float, stores: float
) -> float:
    """Microseconds of CPU a transaction."""
    wanted = features(workers, customers, shards, stores)
    return sum(job["cpu_us"].get(name, 0.0) * value for name, value in wanted.items())


def size(shop: Shop, model: dict[str, Any]) -> Size:
    """Raises ValueError where the shop is not one."""
    if min(shop.tx_per_second, shop.customers, shop.stores, shop.products) <= 0:
        raise ValueError("transactions, customers, stores and products must be more than 0")
    record, assumed = model["record"], model["assumed"]
    busiest = shop.tx_per_second / assumed["use_of_a_shard"]["value"]
    shards = math.ceil(max(busiest / SHARD_RECORDS, busiest * record["bytes"] / SHARD_BYTES))
    state = state_sizes(shop, model)
    jobs = [
        _job(name, job, shop, shards, sum(state[s] for s in job["states"]), assumed)
        for name, job in model["jobs"].items()
    ]
    checked = shop.tx_per_second * record["checked_bytes"]
    return Size(shards, checked, jobs, *_tables(shop, model), state, _monthly(shop, model))


def _job(
    name: str, job: dict[str, Any], shop: Shop, shards: int, state: float, assumed: dict[str, Any]
) -> JobSize:
    """The fewest workers that are busy no more than assumed, and whose disks hold the state."""
    busy, spread = assumed["use_of_a_worker"]["value"], assumed["state_on_disk"]["value"]
    workers = max(1, math.ceil(state * spread / KPU_STORAGE))
    while True:
        us = cpu_us(job, workers, shop.customers, shards, shop.stores)
        cores = shop.tx_per_second * us / 1e6
        if cores <= workers * busy:
            return JobSize(name, us, cores, workers, workers + 1, state, job["basis"])
        workers += 1


def state_sizes(shop: Shop, model: dict[str, Any]) -> dict[str, float]:
    """By state: keys times bytes a key, the key and the engine's frame included. Of transactions a
    ``share`` of those of so many ``hours`` are keys."""
    keys = {
        "customer": shop.customers,
        "store": shop.stores,
        "till": shop.stores * model["assumed"]["tills_a_store"]["value"],
        "shelf": shop.stores * shop.products,
        "transaction": shop.daily,
    }
    visits_a_day = shop.daily / shop.customers
    lines_a_day = shop.daily * model["record"]["lines"] / (shop.stores * shop.products)
    grown = {"visit": visits_a_day, "line": lines_a_day}
    sizes = {}
    for name, of in model["state"].items():
        remembered = of["days"] * grown[of["each"]] if of.get("each") else 0.0
        most = of.get("most", math.inf)
        value = of["base"] + of.get("per_remembered", 0.0) * min(remembered, most)
        kept = keys[of["key"]] * of.get("share", 1.0) * of.get("hours", 24) / 24
        sizes[name] = kept * (value + model["assumed"]["frame_of_a_key"]["value"])
    return sizes


def _tables(shop: Shop, model: dict[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """Write units a second at the busiest, and bytes of items."""
    record, items = model["record"], model["items"]
    suspicious = model["assumed"]["suspicious"]["value"]
    a_second = {
        "loyalty-balances": record["with_customer"],
        "stock": record["lines"],
        "fraud-cases": suspicious,
        "fraud-explanations": suspicious,
    }
    kept = {
        "loyalty-balances": shop.customers,
        "stock": shop.stores * shop.products,
        "fraud-cases": shop.daily * suspicious * 90,
        "fraud-explanations": shop.daily * suspicious * 90,
    }
    units = {
        table: shop.tx_per_second * share * math.ceil(items[table]["value"] / WRITE_UNIT)
        for table, share in a_second.items()
    }
    return units, {table: count * items[table]["value"] for table, count in kept.items()}


def _monthly(shop: Shop, model: dict[str, Any]) -> dict[str, float]:
    """Counts and bytes of a month of average days."""
    count, record, rows = shop.daily * DAYS_A_MONTH, model["record"], model["rows"]
    return {
        "transactions": count,
        "bytes in": count * record["bytes"],
        "to the topic transactions": count * record["checked_bytes"],
        "archive on S3": count * rows["archive"]["value"],
        "points ledger on S3": count * record["with_customer"] * rows["ledger"]["value"],
        "stock ledger on S3": count * record["lines"] * rows["stock"]["value"],
    }
