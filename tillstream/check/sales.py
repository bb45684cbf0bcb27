"""Recomputes what stores sold of each product, and the tax in it, from what was sent, and compares.

Tax is compared by store, day, currency, code and rate, with what the front door writes and with what the
sales job has added up of it. What fraud holds is recomputed
from what the fraud job said.
"""

from __future__ import annotations

from collections import defaultdict
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
TAX_SUMS = ("receipts", "tax_cents", "net_cents", "receipts_without_net")


class Shelf(NamedTuple):
    """By what additions are to be grouped."""

    shelf: str
    currency: str
    unit: str


class TaxOf(NamedTuple):
    """By what additions of tax are to be grouped; as the columns of their history."""

    store: int
    business_day: str
    currency: str
    code: str
    rate: str
    added: bool


TaxSums = dict[TaxOf, list[int]]


def _no_taxes() -> TaxSums:
    return defaultdict(lambda: [0] * len(TAX_SUMS))


@dataclass
class SalesTruth(SentFile):
    """``sold``: by shelf the sums of SUMS. ``taxes``: those of TAX_SUMS. no_goods: categories of what is
    none. totals: what the customer pays, by transaction. returns: ids of those on which goods only came back.
    voids: of contract v1, by what they undo, as long as that is not known."""

    sold: dict[Shelf, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * 5))
    taxes: TaxSums = field(default_factory=_no_taxes)
    no_goods: frozenset[str] = frozenset()
    scales: tuple[str, ...] = ()
    ids: set[str] = field(default_factory=set)
    totals: dict[str, int] = field(default_factory=dict)
    returns: set[str] = field(default_factory=set)
    voids: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

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
                place = receipt.store, receipt.day, receipt.currency
                _add_tax(
                    self.taxes[TaxOf(*place, tax.code, tax.rate, tax.added)], tax.amount, tax.net
                )
            for line in receipt.lines:
                if (
                    line.kind not in ("sale", "return")
                    or line.category in self.no_goods
                    or line.gone
                    or not line.product
                ):
                    continue
                shelf = Shelf(f"{receipt.store}/{line.product}", receipt.currency, line.unit)
                sold = (line.kind == "sale") is not receipt.void
                self._count(shelf, sold, line.units, line.paid, line.corrects)
            trade = {line.kind for line in receipt.lines if line.kind in ("sale", "return")}
            if trade == {"return"} and not receipt.void:
                self._returned(receipt.id)
        else:
            way = 1 if record["kind"] == "sale" else -1
            self.totals[record["transaction_id"]] = way * record["total_cents"]
            if record["kind"] == "refund":
                self._returned(record["transaction_id"])
            if record["kind"] == "void" and record["refers_to"] not in self.returns:
                self.voids[record["refers_to"]].append(record)
            elif record["kind"] == "void":
                way = 1
            self._count_v1(record, way)
        self.ids.add(record["transaction_id"])

    def _returned(self, identity: str) -> None:
        """A void of contract v1 does not say what it undoes: of goods that came back they are sold again."""
        self.returns.add(identity)
        for void in self.voids.pop(identity, ()):
            self._count_v1(void, -1, -1)
            self._count_v1(void, 1)

    def _count_v1(self, record: dict[str, Any], way: int, times: int = 1) -> None:
        """``way``: 1 of goods that are sold, else -1. ``times``: -1 where that did not happen."""
        for line in record["lines"]:
            if line["category"] not in self.no_goods:
                sums = self.sold[
                    Shelf(f"{record['store']}/{line['product']}", record["currency"], "each")
                ]
                pieces, at = times * line["quantity"], 1 if way > 0 else 2
                sums[0] += times
                sums[at] += pieces
                sums[at + 2] += pieces * line["unit_price_cents"]

    def _count(self, shelf: Shelf, sold: bool, units: int, paid: int, corrects: bool) -> None:
        sums = self.sold[shelf]
        sums[0] += not corrects
        if sold:
            sums[1] += units
            sums[3] += paid
        else:
            sums[2] -= units
            sums[4] -= paid


def _add_tax(sums: list[int], amount: int, on: int | None) -> None:
    sums[0] += 1
    sums[1] += amount
    sums[2] += on or 0
    sums[3] += on is None


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
    for of, sums in sorted(truth.taxes.items()):
        name = f"tax {of.currency} {of.code} {of.rate or 'no'} %"
        report.figures[name] = report.figures.get(name, 0) + sums[1]
    added_up = held.parquet(tables.TAX_BY_HOUR, [*TaxOf._fields, *TAX_SUMS])
    _compare_tax(tables.TAX_BY_HOUR.id, truth.taxes, _rows_of(added_up), report)
    if held.begins_later(TRANSACTIONS):
        report.others["taxes, for their topic no longer holds its first records"] = 1
    else:
        _compare_tax("tax", truth.taxes, _taxes_of(truth, held), report)


def _compare_tax(name: str, wanted: TaxSums, found: TaxSums, report: Report) -> None:
    nothing = [0] * len(TAX_SUMS)
    for of in sorted(wanted.keys() | found.keys()):
        must, is_ = wanted.get(of, nothing), found.get(of, nothing)
        report.add(f"{name}, {of.currency}", must[1], is_[1])
        report.add(f"{name}, {of.currency}: what it is on", must[2], is_[2])
        if must != is_:
            tax = f"{of.code} {of.rate or 'no'} %{' on top' if of.added else ''}"
            told = ", ".join(f"{n} {is_n}" for n, is_n in zip(TAX_SUMS, is_, strict=True))
            cause = f"{told}; must be {', '.join(map(str, must))}"
            report.differ(name, f"store {of.store}, {of.business_day}, {of.currency} {tax}", cause)


def _rows_of(table: pa.Table) -> TaxSums:
    found = _no_taxes()
    for batch in table.to_batches(max_chunksize=20_000):
        for row in batch.to_pylist():
            sums = found[TaxOf(*(row[name] for name in TaxOf._fields))]
            for n, column in enumerate(TAX_SUMS):
                sums[n] += row[column]
    return found


def _taxes_of(truth: SalesTruth, held: Platform) -> TaxSums:
    """What the front door says of each transaction once, however often it wrote that."""
    found = _no_taxes()
    for document in _once(held.passed_on(), truth.ids):
        place = document["store"], document["business_day"], document["currency"]
        for tax in document.get("taxes", ()):
            at = TaxOf(*place, tax["code"], tax.get("rate", ""), tax.get("added", False))
            _add_tax(found[at], tax["amount"], tax.get("net"))
    return found


def _once(documents: Iterable[dict[str, Any]], ids: set[str]) -> Iterator[dict[str, Any]]:
    left = set(ids)
    for document in documents:
        if document["transaction_id"] in left:
            left.remove(document["transaction_id"])
            yield document
