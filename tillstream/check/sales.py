"""Recomputes what stores sold of each product, and the tax in it, from what was sent, and compares.

What fraud holds of it is recomputed from what the fraud job said. Sums of sales have no tax. What the front
door writes has it without its codes: by store and day it is compared; by code and rate, as an authority wants
it, the recomputed figure is all there is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from tillstream.catalog import tables
from tillstream.catalog.topics import HOLDS, TRANSACTIONS
from tillstream.check import held as of_fraud
from tillstream.check import receipts
from tillstream.check.platform import Platform
from tillstream.check.report import Report, until_equal
from tillstream.check.sent import SentFile
from tillstream.conf import Conf

SUMS = ("lines", "sold", "returned", "sold_cents", "returned_cents")


class Shelf(NamedTuple):
    """By what additions are to be grouped."""

    shelf: str
    currency: str
    unit: str


class TaxOf(NamedTuple):
    """``day``: the store's business day."""

    store: int
    day: str
    currency: str
    code: str
    rate: str


@dataclass
class SalesTruth(SentFile):
    """``sold``: by shelf the sums of SUMS. ``taxes``: minor units. no_goods: categories of what is none.
    totals: what the customer pays, by transaction."""

    sold: dict[Shelf, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * 5))
    taxes: Counter[TaxOf] = field(default_factory=Counter)
    no_goods: frozenset[str] = frozenset()
    scales: tuple[str, ...] = ()
    ids: set[str] = field(default_factory=set)
    totals: dict[str, int] = field(default_factory=dict)

    def _take(self, entry: dict[str, Any]) -> None:
        if "stream" not in entry:  # a till's
            super()._take(entry)

    def _add(self, entry: dict[str, Any]) -> None:
        record = entry["record"]
        if record["transaction_id"] in self.ids:
            return
        if record.get("schema") == 2:
            receipt = receipts.read(record, self.scales)
            if receipt is None:
                return
            self.totals[receipt.id] = receipt.total
            for tax in receipt.taxes:
                at = TaxOf(receipt.store, receipt.day, receipt.currency, tax.code, tax.rate)
                self.taxes[at] += tax.amount
            for line in receipt.lines:
                if line.kind in ("sale", "return") and line.category not in self.no_goods:
                    shelf = Shelf(f"{receipt.store}/{line.product}", receipt.currency, line.unit)
                    self._count(shelf, line.units, line.paid)
        else:
            way = 1 if record["kind"] == "sale" else -1
            self.totals[record["transaction_id"]] = way * record["total_cents"]
            for line in record["lines"]:
                if line["category"] not in self.no_goods:
                    pieces = way * line["quantity"]
                    shelf = Shelf(
                        f"{record['store']}/{line['product']}", record["currency"], "each"
                    )
                    self._count(shelf, pieces, pieces * line["unit_price_cents"])
        self.ids.add(record["transaction_id"])

    def _count(self, shelf: Shelf, units: int, paid: int) -> None:
        sums = self.sold[shelf]
        sums[0] += 1
        if units > 0 or (units == 0 and paid >= 0):
            sums[1] += units
            sums[3] += paid
        else:
            sums[2] -= units
            sums[4] -= paid

    def tax_by_day(self) -> Counter[tuple[int, str, str]]:
        """By store, day and currency."""
        found: Counter[tuple[int, str, str]] = Counter()
        for of, amount in self.taxes.items():
            found[of.store, of.day, of.currency] += amount
        return found


def read_sales_truth(
    directory: Path, no_goods: Iterable[str] = (), scales: Iterable[str] = ()
) -> SalesTruth:
    """Raises NoTruth."""
    truth = SalesTruth(no_goods=frozenset(no_goods), scales=tuple(scales))
    return truth.read(directory, "tillstream sim --contract v2")


def check_sales(
    truth_dir: Path, conf: Conf, *, wait_seconds: float = 0.0, holdings: Platform | None = None
) -> Report:
    """Compares as ``until_equal`` does. Windows that are still open have no additions yet: drain the sales
    job first. Raises NoTruth or Unreachable, each with the fix."""
    truth = read_sales_truth(truth_dir, conf.intake.kinds, conf.intake.scales)
    held = holdings or Platform(conf)

    def once(report: Report) -> None:
        for windows in (tables.SALES_BY_MINUTE, tables.SALES_BY_HOUR):
            _additions(windows.id, truth, held.parquet(windows, [*Shelf._fields, *SUMS]), report)
        _tax(truth, held, report)
        _held(truth, held, report)

    return until_equal(once, truth.sent, wait_seconds)


def _additions(name: str, truth: SalesTruth, table: pa.Table, report: Report) -> None:
    found: dict[Shelf, list[int]] = defaultdict(lambda: [0] * 5)
    for batch in table.to_batches(max_chunksize=20_000):
        for row in batch.to_pylist():
            sums = found[Shelf(*(row[name] for name in Shelf._fields))]
            for n, column in enumerate(SUMS):
                sums[n] += row[column]
    for shelf in sorted(truth.sold.keys() | found.keys(), key=str):
        wanted, sums = truth.sold.get(shelf, [0] * 5), found.get(shelf, [0] * 5)
        of = f"{name}, {shelf.currency}"
        report.add(f"{of}: revenue", wanted[3] - wanted[4], sums[3] - sums[4])
        report.add(f"{name}, {shelf.unit}: quantity", wanted[1] - wanted[2], sums[1] - sums[2])
        for column, must, is_ in zip(SUMS, wanted, sums, strict=True):
            if must != is_:
                report.differ(name, " ".join(map(str, shelf)), f"{column} {is_}, must be {must}")
                break


def _held(truth: SalesTruth, held: Platform, report: Report) -> None:
    """Of all sales that were held, whoever sent them."""
    if held.begins_later(HOLDS):
        report.others["revenue that is held, for its topic no longer has its first records"] = 1
        return
    wanted, amounts = of_fraud.revenue_of(held.holds())
    for sale in amounts.keys() & truth.totals.keys():
        if amounts[sale] != truth.totals[sale]:
            cause = f"{amounts[sale]} held, {truth.totals[sale]} was sent"
            report.differ("revenue that is held", sale, cause)
    found: dict[of_fraud.Hour, list[int]] = defaultdict(lambda: [0] * len(of_fraud.SUMS))
    table = held.parquet(tables.SALES_HELD, [*of_fraud.Hour._fields, *of_fraud.SUMS])
    for row in table.to_pylist():
        sums = found[of_fraud.Hour(*(row[name] for name in of_fraud.Hour._fields))]
        for n, column in enumerate(of_fraud.SUMS):
            sums[n] += row[column]
    nothing = [0] * len(of_fraud.SUMS)
    for hour in sorted(wanted.keys() | found.keys()):
        must, are = wanted.get(hour, nothing), found.get(hour, nothing)
        for column, a, b in zip(of_fraud.SUMS, must, are, strict=True):
            if column.endswith("_cents"):
                report.add(f"{hour.currency}: {column.removesuffix('_cents')} by fraud", a, b)
            if a != b:
                report.differ(tables.SALES_HELD.id, str(hour), f"{column} {b}, must be {a}")


def _tax(truth: SalesTruth, held: Platform, report: Report) -> None:
    for of, amount in sorted(truth.taxes.items()):
        name = f"tax {of.currency} {of.code} {of.rate or 'no'} %"
        report.figures[name] = report.figures.get(name, 0) + amount
    if held.begins_later(TRANSACTIONS):
        report.others["taxes, for their topic no longer holds its first records"] = 1
        return
    wanted, found = truth.tax_by_day(), _taxes_of(truth, held)
    for place in sorted(wanted.keys() | found.keys()):
        store, day, currency = place
        report.add(f"tax, {currency}", wanted[place], found[place])
        if wanted[place] != found[place]:
            cause = f"{found[place]} {currency}, must be {wanted[place]}"
            report.differ("tax", f"store {store}, {day}", cause)


def _taxes_of(truth: SalesTruth, held: Platform) -> Counter[tuple[int, str, str]]:
    """What the front door says of each transaction once, however often it wrote that."""
    found: Counter[tuple[int, str, str]] = Counter()
    for document in _once(held.passed_on(), truth.ids):
        place = document["store"], document["business_day"], document["currency"]
        found[place] += document.get("tax", 0)
    return found


def _once(documents: Iterable[dict[str, Any]], ids: set[str]) -> Iterator[dict[str, Any]]:
    left = set(ids)
    for document in documents:
        if document["transaction_id"] in left:
            left.remove(document["transaction_id"])
            yield document
