"""A rule set over archived transactions, beside the set in force: holds, precision, recall, cost.

Both sets start from nothing and see the same transactions in the order of their event times, and
the labels when they became known. A run takes the memory of one day of the archive and of all
profiles (some 2 kB a customer).
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from heapq import merge
from itertools import groupby, islice
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from tillstream.catalog.tables import ARCHIVE, ARCHIVE_V1
from tillstream.catalog.topics import FRAUD_LABELS
from tillstream.cli import tables
from tillstream.cli.tables import Column, Table
from tillstream.clients import parquet
from tillstream.clients.storage import of_days, open_bucket
from tillstream.conf import Conf
from tillstream.domain.fraud.decision import Label, parse_label
from tillstream.domain.fraud.ruleset import Rules
from tillstream.domain.fraud.sale import Receipt, Sale, made_of
from tillstream.domain.local_time import UTC
from tillstream.domain.receipt.front_door import StorePlace, of_v1
from tillstream.domain.transaction import InvalidTransaction, Transaction
from tillstream.errors import Problem
from tillstream.fraud.pure_job import PureJob
from tillstream.fraud.topics import read_all
from tillstream.reference import zones

SHOWN = 20
FIELDS = frozenset(Receipt.__struct_fields__)


class DryRunError(Problem):
    """There is nothing to run over, or it cannot be read; one line that says what to do."""


class Tally:
    """What one rule set did. Fraud is what a label says; without a label a sale counts as honest."""

    def __init__(self, rules: Rules, delay_days: int) -> None:
        self.job = PureJob(rules, delay_days)
        self.held: set[str] = set()
        self.reviewed: set[str] = set()
        self.seconds = 0.0

    def sale(self, txn: Sale) -> None:
        began = time.perf_counter()
        decision = self.job.sale(txn, txn.arrived_ms)
        self.seconds += time.perf_counter() - began
        if decision is not None and decision.outcome == "hold":
            self.held.add(txn.transaction_id)
        elif decision is not None and decision.outcome == "review":
            self.reviewed.add(txn.transaction_id)

    @property
    def caught(self) -> set[str]:
        return self.held | self.reviewed

    def figures(self, sales: int, days: int, frauds: set[str]) -> dict[str, Any]:
        caught = self.caught
        return {
            "version": self.job.rules.version,
            "holds": len(self.held),
            "reviews": len(self.reviewed),
            "cases_a_day": round(len(caught) / max(days, 1), 1),
            "precision_holds": _share(len(self.held & frauds), len(self.held)),
            "recall_holds": _share(len(self.held & frauds), len(frauds)),
            "precision_cases": _share(len(caught & frauds), len(caught)),
            "recall_cases": _share(len(caught & frauds), len(frauds)),
            "microseconds_a_sale": round(self.seconds / max(sales, 1) * 1e6, 1),
        }


class Report:
    """Both tallies and their differences."""

    def __init__(self, new: Tally, live: Tally, sales: int, days: int, frauds: set[str]) -> None:
        self.new, self.live = new, live
        self.sales, self.days, self.frauds = sales, days, frauds

    def figures(self) -> dict[str, Any]:
        new, live = self.new, self.live
        return {
            "transactions": self.sales,
            "days": self.days,
            "labelled_frauds": len(self.frauds),
            "new": new.figures(self.sales, self.days, self.frauds),
            "live": live.figures(self.sales, self.days, self.frauds),
            "held_only_by_new": sorted(new.held - live.held),
            "held_only_by_live": sorted(live.held - new.held),
            "cases_only_of_new": len(new.caught - live.caught),
            "cases_only_of_live": len(live.caught - new.caught),
        }

    def show(self, console: Console) -> None:
        told = self.figures()
        sides = ("new", "live")
        table = Table(
            "", *(Column(f"{side}: {told[side]['version']}", right=True) for side in sides),
            title=f"{self.sales:,} transactions, {self.days} days, {len(self.frauds):,} frauds",
        )  # fmt: skip
        for name in told["new"]:
            if name != "version":
                table.add(name.replace("_", " "), *(_shown(told[side][name]) for side in sides))
        tables.show(table, console)
        for side in sides:
            only = told[f"held_only_by_{side}"]
            more = f", first {SHOWN}" if len(only) > SHOWN else ""
            console.print(f"held only by {side}: {len(only):,}{more}")
            for transaction in only[:SHOWN]:
                fraud = " (fraud)" if transaction in self.frauds else ""
                console.print(f"  {transaction}{fraud}", highlight=False)


def run(
    new: Rules,
    live: Rules,
    sales: Iterable[Sale],
    labels: Iterable[Label],
    delay_days: int = 7,
    progress: Callable[[int], None] = lambda n: None,
) -> Report:
    """``sales`` by event time. ``labels`` in any order; each becomes known when it was said."""
    tallies = Tally(new, delay_days), Tally(live, delay_days)
    waiting = deque(sorted(labels, key=lambda label: label.labelled_ms))
    frauds = {label.transaction_id for label in waiting if label.fraud}
    count = 0
    days: set[int] = set()
    seen_frauds: set[str] = set()
    for txn in sales:
        while waiting and waiting[0].labelled_ms <= txn.event_time_ms:
            verdict = waiting.popleft()
            for tally in tallies:
                tally.job.verdict(verdict)
        for tally in tallies:
            tally.sale(txn)
        days.add(txn.event_time_ms // 86_400_000)
        if txn.transaction_id in frauds:
            seen_frauds.add(txn.transaction_id)
        count += 1
        if count % 10_000 == 0:
            progress(count)
    if not count:
        raise DryRunError(
            "no archived transactions there: run the archive job first, or give --data"
        )
    progress(count)
    return Report(*tallies, count, len(days), seen_frauds)


def archived(
    conf: Conf, data: Path | None, first: datetime | None, last: datetime | None, limit: int | None
) -> Iterator[Sale]:
    """What is in the archive on S3, or in Parquet files with its columns, by event time within each day;
    also what 0.1.0 has archived, which has the columns of contract v1."""
    days, by_store = _local_days(data) if data else _days(conf, first, last), zones(conf)
    return islice((sale for day in days for sale in _in_order(day, by_store)), limit)


def labels(conf: Conf, file: Path | None) -> Iterator[Label]:
    """Labels of a file of JSON lines, or of the topic."""
    if file is not None:
        lines: Iterable[bytes] = file.read_bytes().splitlines()
    else:
        lines = (m.value for m in read_all(conf, conf.topic(FRAUD_LABELS)))
    for number, line in enumerate(lines, 1):
        try:
            yield parse_label(line)
        except InvalidTransaction as error:
            if file is not None:
                raise DryRunError(f"{file}:{number}: not a label: {error}") from None


def _in_order(day: list[pa.Table], by_store: Mapping[int, str]) -> Iterator[Sale]:
    """The sales of one day."""
    kinds: dict[str, list[pa.Table]] = defaultdict(list)
    for table in day:
        columns = table.column_names
        time = "ended_ms" if "ended_ms" in columns else "event_time_ms"
        if missing := {"transaction_id", "lines", time} - set(columns):
            raise DryRunError(f"not the archive's columns: {', '.join(sorted(missing))} missing")
        known = FIELDS if time == "ended_ms" else columns
        kinds[time].append(table.select([name for name in columns if name in known]))
    sales = (_sales(pa.concat_tables(same).sort_by(time), by_store) for time, same in kinds.items())
    return merge(*sales, key=attrgetter("event_time_ms"))


def _sales(table: pa.Table, by_store: Mapping[int, str]) -> Iterator[Sale]:
    """Of a table of either kind."""
    for batch in table.to_batches(10_000):
        for row in batch.to_pylist():
            kept = _without_nulls(row)
            try:
                yield _archived(kept) if "ended_ms" in kept else _archived_v1(kept, by_store)
            except msgspec.ValidationError as error:
                raise DryRunError(f"not an archived transaction: {error}") from None


def _archived(row: dict[str, Any]) -> Sale:
    """Of a row of ARCHIVE."""
    return made_of(msgspec.convert(row, Receipt))


def _archived_v1(row: dict[str, Any], by_store: Mapping[int, str]) -> Sale:
    """Of a row of ARCHIVE_V1; a store that is gone from the table of stores goes by UTC."""
    arrived_ms = row.pop("arrived_ms", None)
    row.pop("origin", None)
    sent = msgspec.convert(row, Transaction)
    place = StorePlace(sent.store, by_store.get(sent.store, UTC), sent.currency, "", sent.region)
    sale = made_of(of_v1(sent, place))
    return msgspec.structs.replace(sale, arrived_ms=arrived_ms or sale.event_time_ms)


def _without_nulls(value: Any) -> Any:
    """A null is the field's default."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _local_days(data: Path) -> Iterator[list[pa.Table]]:
    if data.is_file():
        yield [pq.ParquetFile(data).read()]
        return
    folders: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(data.rglob("*.parquet")):
        day = next((part for part in file.parts if part.startswith("date=")), "")
        folders[day].append(file)
    for day in sorted(folders):
        yield [pq.ParquetFile(file).read() for file in folders[day]]


def _days(conf: Conf, first: datetime | None, last: datetime | None) -> Iterator[list[pa.Table]]:
    bucket = open_bucket(conf)
    bounds = [f"{day:%Y-%m-%d}" if day else "" for day in (first, last)]
    both = (of_days(bucket, conf.prefix(one), *bounds) for one in (ARCHIVE_V1, ARCHIVE))
    for _, files in groupby(merge(*both, key=itemgetter(0)), itemgetter(0)):
        yield [parquet.table(bucket.get(file.name)) for _, file in files]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}"
