"""What a shop's traffic costs on AWS in a month: sizing's quantities times prices that are kept as data.

Quantities are whole numbers, rounded up; prices are decimals; each line is rounded to cents and the total is
the sum of the lines.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tillstream.catalog.entry import Job
from tillstream.conf import Conf
from tillstream.errors import Problem
from tillstream.infra import alarms
from tillstream.sizing import model as sizes

PRICES = Path(__file__).with_name("prices.yaml")
CENT = Decimal("0.01")
GB = 1_000_000_000
UNIT_BYTES = 25_000  # of a PUT payload unit
QUOTED, UNVERIFIED = "quoted", "unverified"
CHECKPOINT_S = 60  # the service's own
OWN_METRICS = 4  # per job, see metrics.py
KEYS = 2
HOME = "us-east-1"  # the region that every price has


class Price(NamedTuple):
    """``per``: what one is. ``status``: QUOTED or UNVERIFIED."""

    usd: Decimal
    per: str
    status: str
    source: str


class Line(NamedTuple):
    """``quantity``: of what ``price.per`` says."""

    service: str
    what: str
    quantity: Decimal
    price: Price

    @property
    def usd(self) -> Decimal:
        """In dollars, to the cent."""
        return (self.quantity * self.price.usd).quantize(CENT, ROUND_HALF_UP)


class Prices(NamedTuple):
    """Of one region."""

    as_of: str
    currency: str
    region: str
    prices: Mapping[str, Price]
    assumed: Mapping[str, dict[str, Any]]

    def assume(self, name: str) -> int:
        return int(self.assumed[name]["value"])


@cache
def _data(file: Path = PRICES) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


def regions() -> list[str]:
    return list(_data()["regions"])


def load(region: str) -> Prices:
    """Raises Problem for a region that is not in the file."""
    data = _data()
    if region not in data["regions"]:
        raise Problem(
            f"prices of {region} are not known: choose one of {', '.join(regions())}, or add it to {PRICES}"
        )
    factor = Decimal(data["regions"][region]["factor"])
    prices = {name: _price(one, region, factor) for name, one in data["prices"].items()}
    return Prices(data["as_of"], data["currency"], region, prices, data["assumed"])


def _price(said: dict[str, Any], region: str, factor: Decimal) -> Price:
    if own := said.get(region):
        return Price(Decimal(own["usd"]), said["per"], own["status"], own["source"])
    home = said[HOME]
    source = f"{HOME}'s {home['usd']} times {factor}"
    return Price(Decimal(home["usd"]) * factor, said["per"], UNVERIFIED, source)


def lines(
    shop: sizes.Shop, conf: Conf, jobs: Iterable[Job], prices: Prices, months: int
) -> list[Line]:
    """What a month costs, with files of so many months kept."""
    listed = list(jobs)
    found = sizes.size(shop, sizes.load())
    parts = (
        _flink(conf, found, prices),
        _stream(conf, found, prices),
        _tables(shop, found, prices),
        _files(conf, found, listed, prices, months),
        _brokers(conf, found, prices),
        _watching(conf, listed, prices),
    )
    return [line for part in parts for line in part if line.quantity]


def total(of: Iterable[Line]) -> Decimal:
    return sum((line.usd for line in of), Decimal(0))


def _flink(conf: Conf, found: sizes.Size, prices: Prices) -> Iterator[Line]:
    service, hours = "Managed Flink", prices.assume("hours")
    yield _line(prices, service, "KPUs, one per job to orchestrate", "kpu_hour", found.kpus * hours)
    workers = sum(job.workers for job in found.jobs)
    on_disk = workers * sizes.KPU_STORAGE // GB
    yield _line(prices, service, "disk of the workers", "kpu_storage", on_disk)
    keep = conf.savepoints
    kept = keep.hourly_for_hours + keep.daily_for_days
    state = sum(math.ceil(job.state) for job in found.jobs)
    yield _bytes(prices, service, f"{kept} snapshots", "snapshot", state * kept)


def _stream(conf: Conf, found: sizes.Size, prices: Prices) -> Iterator[Line]:
    if conf.source.kind != "kinesis":
        return
    service, hours = "Kinesis", prices.assume("hours")
    came, count = (math.ceil(found.monthly[name]) for name in ("bytes in", "transactions"))
    beyond_h = max(conf.infra.stream.retention_hours - 24, 0)
    shards = conf.infra.stream.shards
    if shards is None:
        yield _line(prices, service, "the stream", "stream_hour", hours)
        yield _bytes(prices, service, "in", "stream_in", came)
        yield _bytes(prices, service, "out, to intake", "stream_out", came)
        yield _bytes(prices, service, "kept beyond a day", "stream_kept", came * beyond_h // hours)
        return
    shards = max(shards, found.shards)
    yield _line(prices, service, f"{shards} shards", "shard_hour", shards * hours)
    each = math.ceil(came / count / UNIT_BYTES) if count else 0
    yield _line(prices, service, "in", "shard_puts", Decimal(count * each) / 1_000_000)
    if beyond_h:
        yield _line(prices, service, "kept beyond a day", "shard_kept", shards * hours)


def _tables(shop: sizes.Shop, found: sizes.Size, prices: Prices) -> Iterator[Line]:
    for table, busiest in found.write_units.items():
        # The model's units are per second at the busiest; a month has as many transactions as it has.
        units = math.ceil(busiest / shop.tx_per_second * found.monthly["transactions"])
        service = "DynamoDB"
        yield _line(prices, service, f"{table}: writes", "table_writes", Decimal(units) / 1_000_000)
        held = math.ceil(found.items[table])
        yield _bytes(prices, service, f"{table}: items", "table_storage", held)
        yield _bytes(prices, service, f"{table}: recovery", "table_recovery", held)


def _files(
    conf: Conf, found: sizes.Size, jobs: list[Job], prices: Prices, months: int
) -> Iterator[Line]:
    service, classes = "S3", conf.infra.files
    monthly = sum(
        math.ceil(count) for name, count in found.monthly.items() if name.endswith("on S3")
    )
    young = min(months, -(-classes.infrequent_after_days // 30))
    middle = min(months, max(-(-classes.archive_after_days // 30), young)) - young
    old = months - young - middle
    for what, price, count in (
        ("files, young", "files", young),
        ("files, older", "files_infrequent", middle),
        ("files, old", "files_archive", old),
    ):
        yield _bytes(prices, service, f"{what}: of {count} months", price, monthly * count)
    by_name = {job.name: job for job in jobs}
    checkpoints = prices.assume("hours") * 3600 // CHECKPOINT_S
    requests = 0
    for one in found.jobs:
        histories = by_name[one.job].histories if one.job in by_name else ()
        files = sum(prices.assume("regions") if h.region else 1 for h in histories)
        requests += one.workers * files * checkpoints * prices.assume("requests")
    thousands = Decimal(requests) / 1000
    yield _line(prices, service, "requests, at most", "file_requests", thousands)


def _brokers(conf: Conf, found: sizes.Size, prices: Prices) -> Iterator[Line]:
    service, hours, brokers = "MSK", prices.assume("hours"), prices.assume("brokers")
    yield _line(prices, service, f"{brokers} brokers, assumed", "broker_hour", brokers * hours)
    settings = conf.infra.topics
    written = math.ceil(found.monthly["to the topic transactions"])
    kept = written * settings.retention_hours * settings.replicas // hours
    yield _bytes(prices, service, "the topic transactions", "broker_storage", kept)


def _watching(conf: Conf, jobs: list[Job], prices: Prices) -> Iterator[Line]:
    service = "CloudWatch, KMS"
    watched = sum(len(alarm.watched) for alarm in alarms.alarms(conf, jobs))
    yield _line(prices, service, "alarms", "alarm_metric", watched)
    yield _line(prices, service, "metrics of the jobs", "own_metric", OWN_METRICS * len(jobs))
    yield _line(prices, service, "dashboard", "dashboard", 1)
    yield _line(prices, service, "logs", "log_bytes", prices.assume("logs_gb") * len(jobs))
    yield _line(prices, service, "keys", "key", KEYS)


def _line(prices: Prices, service: str, what: str, price: str, quantity: int | Decimal) -> Line:
    return Line(service, what, Decimal(quantity), prices.prices[price])


def _bytes(prices: Prices, service: str, what: str, price: str, count: int) -> Line:
    return _line(prices, service, what, price, Decimal(count) / GB)
