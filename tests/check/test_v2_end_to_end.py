"""Ten thousand receipts of contract v2 through the front door and the rules of loyalty, stock and sales, and
the check's own arithmetic beside them: equal to the cent, the point, the gram and the cent of tax."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from tillstream import conf as settings
from tillstream.catalog import tables
from tillstream.catalog.resources import History
from tillstream.check.by_hand.voids import Voids
from tillstream.check.compare import LEDGER, check
from tillstream.check.sales import SUMS, TAX_SUMS, Shelf, TaxOf, check_sales, read_sales_truth
from tillstream.check.stock_sent import level, read_stock_truth
from tillstream.domain import content
from tillstream.domain.envelope import Envelope
from tillstream.domain.loyalty import parts
from tillstream.domain.loyalty.ledger import LoyaltyRules, Refused, Terms, apply
from tillstream.domain.receipt.canonical import Receipt
from tillstream.domain.receipt.product import printed
from tillstream.domain.receipt.reading import stock_units
from tillstream.domain.stock import baskets, ledger
from tillstream.domain.transaction import InvalidTransaction
from tillstream.sim.simulator import Faults, Sent, Simulator
from tillstream.sim.truth import TruthWriter
from tillstream.sim.world import load_stores
from tillstream.udfs.intake import intake_once

COUNT = 10_000
START = 1_795_500_000_000
RATE = 0.5  # a second, so that they last some hours
FAULTS = Faults(duplicates=0.03, malformed=0.03, late=0.05, out_of_order=0.04, fuzzed=0.01)
CONF = settings.load("local")


# A few of each country, more of the largest.
PLACES = load_stores()
STORES = [one for one in PLACES if one.country == "ZA"][:20]
for country in sorted({one.country for one in PLACES} - {"ZA"}):
    STORES += [one for one in PLACES if one.country == country][:3]


class Shop:
    """What the jobs hold, made by their rules alone; also what the check reads in place of a platform."""

    def __init__(self) -> None:
        self.door = intake_once(CONF)
        self.known: dict[str, bytes] = {}
        self.voids = Voids()
        self.ordered: list[dict[str, Any]] = []
        self.held: list[dict[str, Any]] = []
        self.receipts: list[bytes] = []
        self.letters: dict[str, tuple[str, bytes]] = {}
        terms = {
            code: Terms(of.per_point, of.point_value) for code, of in CONF.loyalty.terms.items()
        }
        self.rules = LoyaltyRules(terms, earn_nothing=frozenset(CONF.loyalty.earn_nothing))
        self.accounts: dict[str, Any] = {}
        self.owners: dict[str, str] = {}
        self.early: dict[str, list[parts.Receipt]] = defaultdict(list)
        self.entries: list[dict[str, Any]] = []
        self.stock: dict[tuple[int, str], ledger.Stock] = {}
        self.moved: dict[tuple[int, str], set[str]] = defaultdict(set)
        self.sold: dict[Shelf, list[int]] = defaultdict(lambda: [0] * len(SUMS))
        self.taxes: dict[TaxOf, list[int]] = defaultdict(lambda: [0] * len(TAX_SUMS))

    def take(self, n: int, sent: Sent) -> None:
        """A record, as the front door takes it."""
        arrived_ms = START + int(n * 1000 / RATE)
        try:
            taken = self.door.take(Envelope(f"kafka:tills/0/{n}", arrived_ms, sent.raw))
        except InvalidTransaction as error:
            self.letters[str(n)] = error.reason, sent.raw
            return
        if taken is None:
            return
        receipt = taken.receipt
        said = content.of_receipt(receipt, taken.sent)
        if self.known.setdefault(receipt.transaction_id, said) != said:
            self.letters[str(n)] = "id_conflict", sent.raw
        elif said is self.known[receipt.transaction_id]:
            # FirstVoids.java by the check's own rule: tests/connectors/test_first_voids.py has Java's.
            if why := self.voids.why_not(sent.record or {}):
                self.letters[str(n)] = why, sent.raw
            else:
                self.pass_on(receipt)

    def pass_on(self, receipt: Receipt) -> None:
        raw = msgspec.json.encode(receipt)
        self.receipts.append(raw)
        self._loyalty(parts.read(raw))
        self._shelves(baskets.read(raw))
        for tax in receipt.taxes:  # as SalesTracking.java does
            place = receipt.store, receipt.business_day, receipt.currency
            sums = self.taxes[TaxOf(*place, tax.code, tax.rate, tax.added)]
            for n, more in enumerate((1, tax.amount, tax.net or 0, tax.net is None)):
                sums[n] += more

    def _loyalty(self, receipt: parts.Receipt) -> None:
        if customer := receipt.customer:
            self._post(parts.parts(receipt, self.rules.earn_nothing), receipt.arrived_ms)
            self.owners[receipt.transaction_id] = customer
            for early in self.early.pop(receipt.transaction_id, ()):
                self._claim(early, receipt.transaction_id)
        for of in dict.fromkeys([receipt.voids, *(line.of for line in receipt.lines)]):
            if of:
                self._claim(receipt, of)

    def _claim(self, receipt: parts.Receipt, of: str) -> None:
        """As ReceiptOwners.java does: on the account of whoever bought what comes back."""
        owner = self.owners.get(of)
        if owner is None:
            self.early[of].append(receipt)
        elif owner != receipt.customer:
            found = parts.claimed_of(receipt, of, owner, self.rules.earn_nothing)
            self._post(found, receipt.arrived_ms)

    def _post(self, found: Iterable[parts.Part], arrived_ms: int) -> None:
        for part in found:
            account = self.accounts.get(part.customer_id)
            after, entries = apply(account, part, self.rules, arrived_ms)
            assert not isinstance(entries, Refused)
            self.accounts[part.customer_id] = after or account
            self.entries += [{name: getattr(one, name) for name in LEDGER} for one in entries]

    def answers(self) -> list[dict[str, Any]]:
        return []

    def holds(self) -> list[dict[str, Any]]:
        return self.ordered

    def _shelves(self, receipt: baskets.Receipt) -> None:
        assert baskets.uncounted(receipt) is None
        gone = baskets.taken_out(receipt.lines)
        for n, line in enumerate(receipt.lines, start=1):
            if n - 1 in gone:
                continue
            product, units = printed(line.product), stock_units(line.thousandths, line.unit)
            key, name = (receipt.store, product), f"{receipt.transaction_id}/{n}"
            if baskets.moves(line):
                kind = (
                    "void"
                    if receipt.kind == "void"
                    else "sale"
                    if line.kind == "sale"
                    else "refund"
                )
                self.moved[key].add(name)
                stock = self.stock.setdefault(key, ledger.Stock())
                at, came = receipt.ended_ms, receipt.arrived_ms
                ledger.move(
                    stock,
                    ledger.Line(kind, name, *key, -units, at, None, came, line.unit),
                    ledger.StockRules(),
                )
            if line.kind in ("sale", "return"):  # as SalesTracking.java does
                sums = self.sold[Shelf(f"{receipt.store}/{product}", receipt.currency, line.unit)]
                sold = (line.kind == "sale") is (receipt.kind == "retail")
                way = 1 if sold else -1
                sums[0] += way * units > 0 or (units == 0 and way * line.paid >= 0)
                sums[1 if sold else 2] += way * units
                sums[3 if sold else 4] += way * line.paid

    # what the check asks a platform for

    def balances(self) -> dict[str, tuple[int, int]]:
        return {who: (one.balance, one.version) for who, one in self.accounts.items()}

    def ledger(self, columns: list[str]) -> pa.Table:
        return pa.table({name: [row[name] for row in self.entries] for name in columns})

    def archive(self, columns: list[str]) -> pa.Table:
        return pa.table({"transaction_id": list(self.known)})

    def dead_letters(self) -> dict[str, tuple[str, bytes]]:
        return self.letters

    def passed_on(self) -> list[dict[str, Any]]:
        return [json.loads(raw) for raw in (*self.receipts, *self.receipts[:50])]  # after a crash

    def begins_later(self, topic: Any) -> bool:
        return False

    def parquet(self, history: History, columns: list[str]) -> pa.Table:
        if history is tables.SALES_HELD:
            nothing = pa.table({name: pa.array([], pa.int64()) for name in columns})
            return pa.Table.from_pylist(self.held) if self.held else nothing
        names: tuple[str, ...] = *Shelf._fields, *SUMS
        held: dict[Any, list[int]] = dict(self.sold)
        if history is tables.TAX_BY_HOUR:
            names, held = (*TaxOf._fields, *TAX_SUMS), dict(self.taxes)
        rows = [dict(zip(names, (*of, *n), strict=True)) for of, n in held.items()]
        return pa.Table.from_pylist(rows)


def opened(folder: Path, seed: int, count: int, **how: Any) -> tuple[Shop, Path]:
    shop, truth = Shop(), TruthWriter(folder, seed=seed)
    how = {"contract": "v2", "faults": FAULTS, "refunds": 0.05, "voids": 0.02} | how
    traffic = Simulator(
        "normal",
        seed,
        count=count,
        start_ms=START,
        rate=RATE,
        customers=1_500,
        of_stores=STORES,
        **how,
    )
    for n, sent in enumerate(traffic):
        truth.write(sent)
        shop.take(n, sent)
    truth.close()
    return shop, folder


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Path]:
    return opened(tmp_path_factory.mktemp("truth"), 11, COUNT)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Path]:
    """Less of it, to be spoilt."""
    return opened(tmp_path_factory.mktemp("truth"), 11, 1_200)


def test_points_dead_letters_and_what_intake_writes_are_what_the_check_recomputes(traded):
    shop, truth = traded
    report = check(truth, CONF, holdings=shop)
    assert report.ok, report.differences
    assert report.sent == COUNT
    assert report.totals["entries"][0] > 5_000
    assert report.totals["dead letters"][0] > 300
    assert report.totals["points redeemed"][0] > 0 < report.totals["points reversed"][0]
    outcomes = Counter((row["kind"], row["outcome"]) for row in shop.entries)
    assert {("sale", "redemption_refused"), ("refund", "posted"), ("refund", "settled"),
            ("void", "posted"), ("refund", "pending_original"), ("void", "nothing_to_reverse"),
            ("refund", "nothing_to_reverse")} <= set(outcomes)  # fmt: skip


def test_every_reason_that_the_simulator_names_is_given(traded):
    shop, _ = traded
    assert len({reason for reason, _ in shop.letters.values()}) > 20


def test_every_level_is_what_the_check_recomputes(traded):
    shop, truth = traded
    wanted = read_stock_truth(truth, CONF.intake.kinds, CONF.intake.scales).lines
    assert {key: set(moves) for key, moves in wanted.items()} == shop.moved
    levels = {key: level(list(moves.values())) for key, moves in wanted.items()}
    assert {key: stock.level for key, stock in shop.stock.items()} == levels
    assert any(key[1].startswith("plu-") for key in levels)
    assert any(key[1].startswith("21") and key[1][7:12] == "00000" for key in levels)


def test_revenue_and_tax_are_what_the_check_recomputes_in_five_currencies_and_more(traded):
    shop, truth = traded
    report = check_sales(truth, CONF, holdings=shop)
    assert report.ok, report.differences
    currencies = {name for name in report.totals if name.startswith("tax, ")}
    assert len(currencies) >= 5
    assert all(found for found, _ in report.totals.values())
    assert {"tax ZAR S 15 %", "tax MWK A 16.5 %", "tax AOA RED 5 %"} <= report.figures.keys()
    # A quarter of the turnover is of basics without tax.
    revenue = report.totals["sales_hours, ZAR: revenue"][0]
    assert 0.05 < report.totals["tax, ZAR"][0] / revenue < 15 / 115


def test_a_cent_of_tax_or_revenue_that_is_wrong_is_told(small, monkeypatch):
    shop, truth = small
    first = next(json.loads(raw) for raw in shop.receipts if json.loads(raw).get("tax"))
    tax, *others = first["taxes"]
    changed = [first | {"taxes": [tax | {"amount": tax["amount"] + 1}, *others]}]
    rest = [json.loads(raw) for raw in shop.receipts]
    monkeypatch.setattr(shop, "passed_on", lambda: changed + rest)
    shelf = next(iter(shop.sold))
    monkeypatch.setitem(shop.sold, shelf, [*shop.sold[shelf][:3], shop.sold[shelf][3] + 1, 0])
    at = next(iter(shop.taxes))
    monkeypatch.setitem(shop.taxes, at, [*shop.taxes[at][:2], shop.taxes[at][2] + 1, 0])
    report = check_sales(truth, CONF, holdings=shop)
    assert not report.ok
    assert {one.where for one in report.differences} == {
        "tax", "tax_hours", "sales_minutes", "sales_hours",
    }  # fmt: skip


def test_revenue_that_fraud_holds_or_has_lost_is_recomputed_from_what_it_said(small, monkeypatch):
    shop, truth = small
    sold = [json.loads(raw) for raw in shop.receipts]
    sold = [one for one in sold if one["total"] > 0 and one.get("kind", "retail") == "retail"]
    a, b, c = sold[0], sold[1], sold[2]
    words = [("hold", a, 0), ("hold", a, 0), ("decline", b, 9), ("hold", b, 0), ("release", b, 5),
             ("hold", c, 0), ("release", c, 5)]  # fmt: skip
    told = [
        {"action": action, "transaction_id": of["transaction_id"], "store": of["store"],
         "event_time_ms": of["ended_ms"], "ordered_at_ms": of["ended_ms"] + later,
         "currency": of["currency"], "total_cents": of["total"] if action == "hold" else None}
        for action, of, later in words
    ]  # fmt: skip
    monkeypatch.setattr(shop, "ordered", told)
    rows = [
        {"store": of["store"], "window_start_ms": of["ended_ms"] // 3_600_000 * 3_600_000,
         "currency": of["currency"], "held": held, "held_cents": held * of["total"], "lost": lost,
         "lost_cents": lost * of["total"]}
        for of, held, lost in ((a, 1, 0), (b, 1, 0), (b, -1, 1), (c, 1, 0), (c, -1, 0))
    ]  # fmt: skip
    monkeypatch.setattr(shop, "held", rows)
    report = check_sales(truth, CONF, holdings=shop)
    assert report.ok, report.differences
    assert report.totals[f"{a['currency']}: held by fraud"][0] >= a["total"]
    rows[2]["lost_cents"] += 1
    told[0]["total_cents"] += 1
    report = check_sales(truth, CONF, holdings=shop)
    assert {one.where for one in report.differences} == {"sales_held", "revenue that is held"}


def test_a_training_tills_receipt_that_comes_through_is_told(small, monkeypatch):
    shop, truth = small
    lines = [json.loads(line) for line in (truth / "sent.jsonl").open()]
    training = next(one["record"] for one in lines if one.get("record", {}).get("training"))
    made = {"transaction_id": training["transaction_id"], "total": training["total"],
            "currency": training["currency"], "lines": training["lines"]}  # fmt: skip
    found = shop.passed_on()
    monkeypatch.setattr(shop, "passed_on", lambda: [*found, made])
    report = check(truth, CONF, loyalty=False, holdings=shop)
    assert [one.cause for one in report.differences] == ["of a training till, and passed on"]


def test_another_reason_than_the_truths_is_told(small, monkeypatch):
    shop, truth = small
    one_of_its_own = ("tax_total", "tender", "line_sign", "quantity")  # no fuzz comes so far
    n, reason = next((n, one) for n, (one, _) in shop.letters.items() if one in one_of_its_own)
    monkeypatch.setitem(shop.letters, n, ("lines_total", shop.letters[n][1]))
    report = check(truth, CONF, loyalty=False, archive=False, holdings=shop)
    assert [one.cause for one in report.differences] == [f"reason lines_total, must be {reason}"]


def test_stores_of_both_contracts_side_by_side_are_what_the_check_recomputes(tmp_path):
    shop, truth = opened(tmp_path, 12, 1_500, contract="mixed")
    for report in (check(truth, CONF, holdings=shop), check_sales(truth, CONF, holdings=shop)):
        assert report.ok, report.differences
    wanted = read_stock_truth(truth, CONF.intake.kinds, CONF.intake.scales).lines
    levels = {key: level(list(moves.values())) for key, moves in wanted.items()}
    assert {key: stock.level for key, stock in shop.stock.items()} == levels
    sources = Counter(json.loads(raw)["source"] for raw in shop.receipts)
    assert min(sources["pos/1"], sources["pos/2"]) > 300


def test_each_transaction_is_written_once_and_its_lines_make_its_total(traded):
    """The lines' money is the receipt's, so no cent of revenue is lost between them."""
    shop, truth = traded
    receipts = [json.loads(raw) for raw in shop.receipts]
    for receipt in receipts:
        assert sum(line["paid"] for line in receipt["lines"]) == receipt["total"]
    ids = {receipt["transaction_id"] for receipt in receipts}
    assert len(ids) == len(receipts)
    assert read_sales_truth(truth).ids == ids
