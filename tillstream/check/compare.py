"""Recomputes every balance from what was sent and compares it with what the platform holds."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tillstream.catalog.topics import HOLDS, TRANSACTIONS
from tillstream.check import notices as sent_notices
from tillstream.check.held import must_follow, words_of
from tillstream.check.households import Households, by_account
from tillstream.check.platform import Platform, grouped
from tillstream.check.report import Report, until_equal
from tillstream.check.rules import (
    ADJUSTMENTS,
    ELSEWHERE,
    FRAUD,
    Sent,
    Step,
    Terms,
    in_ledger_order,
    replay,
    with_voids_apart,
)
from tillstream.check.sent import Fact, Truth, content, read_truth, shape
from tillstream.conf import Conf

Order = Literal["sent", "ledger"]
AllTerms = Mapping[str, Terms]
Customers = Mapping[str, list[Sent]]
Both = tuple[dict[str, list[Sent]], dict[str, list[Sent]]]
UNDOING = ("refund", "void")
GONE = "words of fraud that are no longer in their topic"


class Row(NamedTuple):
    """One line of the ledger on S3."""

    customer_id: str
    version: int
    entry_id: str
    kind: str
    outcome: str
    earned: int
    redeemed: int
    delta: int
    balance: int


LEDGER = list(Row._fields)
TOTALS = (
    *("customers", "sum of balances (hot)", "sum of balances (ledger)", "entries"),
    *("points earned", "points redeemed", "points reversed", "points adjusted"),
)


def check(
    truth_dir: Path,
    conf: Conf,
    order: Order = "sent",
    *,
    wait_seconds: float = 0.0,
    loyalty: bool = True,
    dead_letters: bool = True,
    archive: bool = True,
    notices: bool = False,
    holdings: Platform | None = None,
) -> Report:
    """Compares as ``until_equal`` does. Which of two contents of one id counts is the front door's choice,
    and its dead letters tell.

    ``order``: "sent" where the stream keeps each customer's order; "ledger" where it may not (a shard
    was split), which takes the ledger's own order and checks every step of it. The flags choose what
    is compared; notices are judged by the order of sending alone. Raises
    NoTruth or Unreachable, each with the fix.
    """
    truth = read_truth(truth_dir, conf.loyalty.earn_nothing)
    held = holdings or Platform(conf)

    terms = {code: (of.per_point, of.point_value) for code, of in conf.loyalty.terms.items()}

    def once(report: Report) -> None:
        sent = truth.counted(_refused(held)) if truth.conflicts else truth.customers
        if loyalty:
            _loyalty(truth, sent, held, terms, order, report)
        if dead_letters:
            _dead_letters(truth, held, report)
            _passed_on(truth, held, report)
        if archive:
            _archive(truth, held, report)
        if notices:
            _notices(sent, truth, held, terms, report)

    return until_equal(once, truth.sent, wait_seconds)


def _refused(held: Platform) -> dict[str, set[bytes]]:
    """What the front door refused because its id was taken: contents by id."""
    found: dict[str, set[bytes]] = defaultdict(set)
    for reason, raw in held.dead_letters().values():
        if reason == "id_conflict" and (identity := _transaction_id(raw)):
            found[identity].add(content(orjson.loads(raw)))
    return found


def _accounts(truth: Truth, sent: Customers, households: Households, ledger: pa.Table) -> Both:
    """By account what its owners did, and what comes to it by another way: others' returns of what they
    bought, and adjustments."""
    entries: set[tuple[str, str]] = set()
    if households.of:
        columns = (ledger[name].to_pylist() for name in ("customer_id", "entry_id"))
        entries = set(zip(*columns, strict=True))
    own = by_account(sent, truth.when, households, entries)
    beside = truth.claims(own)
    adjusted = by_account(truth.adjusted, truth.when, households, entries)
    for account, some in adjusted.items():
        beside[account] = beside.get(account, []) + some
    for account, half in households.moves():
        beside[account] = [*beside.get(account, []), half]
    return own, beside


def _loyalty(
    truth: Truth, sent: Customers, held: Platform, terms: AllTerms, order: Order, report: Report
) -> None:
    """Where something came to an account beside its owner's transactions, where tills have asked for points,
    where fraud has held a sale, and of households the ledger's order is taken."""
    ledger, households = held.ledger(LEDGER), Households(truth.joined)
    customers, beside = _accounts(truth, sent, households, ledger)
    granted: dict[str, dict[str, int]] = defaultdict(dict)
    for answer in held.answers():
        if answer["outcome"] == "granted":
            promised = granted[answer["customer_id"]]
            sale = answer["transaction_id"]
            promised[sale] = max(promised.get(sale, 0), answer["points"])
    for account in households.accounts:
        for member in households.members(account):
            granted[account] |= granted.get(member, {})
    customers = {one: customers.get(one, []) for one in {**customers, **beside}}
    ours = pc.is_in(ledger["customer_id"], value_set=pa.array(list(customers), pa.string()))
    report.others["ledger entries"] = ledger.num_rows - (pc.sum(ours).as_py() or 0)
    ledger = ledger.filter(ours)
    hot, words = held.balances(), words_of(held.holds())
    too_many = {
        _transaction_id(raw) or ""
        for reason, raw in held.dead_letters().values()
        if reason == "too_many_held"
    }
    later = held.begins_later(HOLDS)
    shared = households.accounts
    asked = later or words.keys() & (customers.keys() | shared)
    pending = held.pending() if asked else {}
    report.others["customers"] = sum(1 for customer in hot if customer not in customers)

    for name in TOTALS:
        report.add(name, 0, 0)
    lacking = customers.keys() - set(ledger["customer_id"].unique().to_pylist())
    without: list[tuple[str, list[Any]]] = [(customer, []) for customer in sorted(lacking)]
    gave = ledger.filter(pc.equal(ledger["kind"], "transfer_out")).to_pylist()
    given = {row["entry_id"][1:].removesuffix("#out"): -row["delta"] for row in gave}
    for customer, entries in itertools.chain(grouped(ledger, "customer_id"), without):
        rows = [Row(**entry) for entry in entries]
        all_sent = customers[customer] + beside.get(customer, [])
        promised = granted.get(customer, {})
        said = {
            sale: told
            for one in (customer, *households.members(customer))
            for sale, told in words.get(one, {}).items()
        }
        if later:  # what the topic no longer has the ledger itself tells
            for word in filter(None, map(_word, rows)):
                told = said.setdefault(word.id, [])
                if word not in told:
                    said[word.id] = [*told, word]
                    report.others[GONE] = report.others.get(GONE, 0) + 1
        if said:
            # What counts elsewhere has its words there.
            gone = {one.refers_to for one in all_sent if one.id.endswith(ELSEWHERE)}
            sales = {one.id for one in all_sent if one.kind == "sale" and one.id not in gone}
            ids = {row.entry_id for row in rows}
            all_sent = all_sent + must_follow(said, sales, ids, too_many)
        unordered = customer in beside or promised or said or customer in shared
        ordered = in_ledger_order if order == "ledger" or unordered else with_voids_apart
        steps = replay(
            ordered(all_sent, [row.entry_id for row in rows]), terms,
            promised=promised, blocked=_blocked(rows, promised), given=given,
        )  # fmt: skip
        if fault := _fault(steps, rows):
            report.differ("ledger", customer, fault)
        in_ledger = _sums(rows)
        for name, wanted in _sums(steps).items():
            report.add(name, wanted, in_ledger[name])
        if said:
            _fraud(customer, steps, rows, pending.get(customer, 0), report)
        if steps:  # none of whom another's basket took the only id
            _hot_item(customer, steps[-1].balance, len(steps), hot.get(customer), report)


def _word(row: Row) -> Sent | None:
    """What fraud said, of an entry that follows it."""
    if row.kind not in FRAUD:
        return None
    sale, _, at_ms = row.entry_id.rsplit(":", 2)
    return Sent(sale, row.kind, 0, 0, None, at_ms=int(at_ms))


def _blocked(rows: list[Row], promised: Mapping[str, int]) -> set[str]:
    """Sales that were refused while another of the customer may have held the points: when a hold is over is
    the broker's time, which is not in what was sent."""
    refused = (row.entry_id for row in rows if row.outcome == "redemption_refused")
    return {sale for sale in refused if promised.keys() - {sale}}


def _fraud(customer: str, steps: list[Step], rows: list[Row], pending: int, report: Report) -> None:
    """``pending``: as the hot table says."""
    wanted, found = (
        -sum(entry.delta for entry in entries if entry.kind in FRAUD) for entries in (steps, rows)
    )
    report.add("points held back or taken as fraud", wanted, found)
    beside = sum(s.earned - s.redeemed - s.delta for s in steps if s.kind not in ADJUSTMENTS)
    report.add("points pending (hot)", beside, pending)
    if beside != pending:
        report.differ("hot table", customer, f"{pending} points pending, must be {beside}")


def _hot_item(
    customer: str, balance: int, version: int, item: tuple[int, int] | None, report: Report
) -> None:
    """``item``: balance and version in the hot table; beside them what they must be."""
    report.add("customers", 1, item is not None)
    report.add("sum of balances (hot)", balance, item[0] if item else 0)
    if item is None:
        report.differ("hot table", customer, f"no item; balance must be {balance}")
    elif item != (balance, version):
        stale = " (stale: an older version)" if item[1] < version else ""
        found = f"balance {item[0]} at version {item[1]}"
        report.differ("hot table", customer, f"{found}, must be {balance} at {version}{stale}")


def _sums(entries: list[Step] | list[Row]) -> dict[str, int]:
    sales = [entry for entry in entries if entry.kind == "sale"]
    return {
        "sum of balances (ledger)": entries[-1].balance if entries else 0,
        "entries": len(entries),
        "points earned": sum(sale.earned for sale in sales),
        "points redeemed": sum(sale.redeemed for sale in sales),
        "points reversed": -sum(entry.delta for entry in entries if entry.kind in UNDOING),
        "points adjusted": sum(entry.delta for entry in entries if entry.kind in ADJUSTMENTS),
    }


def _fault(steps: list[Step], rows: list[Row]) -> str | None:
    """What is wrong with the first step that differs: all later ones of a customer follow from it."""
    ids = {step.entry_id for step in steps}
    for place, (step, row) in enumerate(zip(steps, rows, strict=False), start=1):
        if cause := _cause(place, step, row, ids):
            return cause
    missing = len(steps) - len(rows)
    if missing > 0:
        first = steps[len(rows)]
        return f"{missing} entries missing, first {first.entry_id} ({first.outcome})"
    if missing < 0:
        return f"{-missing} too many, first {rows[len(steps)].entry_id}"
    return None


def _cause(place: int, step: Step, row: Row, ids: set[str]) -> str | None:
    at = f"version {place}, {row.entry_id}: "
    if row.version != place:
        again = (
            "appears twice" if row.version < place else f"is missing, {row.version} comes instead"
        )
        return f"{at}version {min(place, row.version)} {again}"
    if row.entry_id != step.entry_id:
        why = f"{step.entry_id} belongs here" if row.entry_id in ids else "was never sent"
        return at + why
    for name in ("kind", "outcome", "earned", "redeemed", "delta", "balance"):
        is_, must = getattr(row, name), getattr(step, name)
        if is_ != must:
            return f"{at}{name} is {is_}, must be {must}"
    return None


def _dead_letters(truth: Truth, held: Platform, report: Report) -> None:
    letters = held.dead_letters()
    waiting = truth.malformed.copy()
    told: dict[str, set[bytes]] = {identity: set() for identity in truth.conflicts}
    matched = others = 0
    uncounted = set(truth.uncounted.items())
    for identity, (reason, raw) in letters.items():
        blotted = shape(raw)
        if waiting[blotted] > 0:
            waiting[blotted] -= 1
            matched += 1
            if reason not in truth.reasons.get(blotted, {reason}):
                must = " or ".join(sorted(truth.reasons[blotted]))
                report.differ("dead letters", identity, f"reason {reason}, must be {must}")
        elif (_transaction_id(raw), reason) in uncounted:
            uncounted.discard((_transaction_id(raw) or "", reason))
        elif reason == "id_conflict" and (of := _transaction_id(raw)) in told:
            told[of].add(shape(content(orjson.loads(raw))))
        elif _transaction_id(raw) in truth.valid_ids and b'"ordered_at_ms"' not in raw:
            report.differ("dead letters", identity, f"a valid transaction was refused: {reason}")
        else:  # a word of fraud about one too
            others += 1
    report.others["dead letters"] = others
    report.add("dead letters", truth.malformed.total(), matched)
    if truth.uncounted:
        of_voids = len(truth.uncounted)
        report.add("voids that do not count", of_voids, of_voids - len(uncounted))
    for void, why in sorted(uncounted):
        report.differ("dead letters", void, f"a void that must be refused: {why}")
    lacking = [raw for raw, count in waiting.items() if count > 0]
    for raw in lacking:
        report.differ("dead letters", f"{len(raw)} bytes", "a malformed record has no dead letter")
    for identity, contents in truth.conflicts.items():
        # All but the one that came first to the front door, whichever that was. Numbers are blotted out on
        # both sides, so contents of one shape count as one.
        sent = set(map(shape, contents))
        told_one = bool(told[identity] & sent)
        report.add("sales under an id that was taken", len(contents) > 1, told_one)
        if not told_one:
            cause = "two sales under this id, and no id_conflict"
            report.differ("dead letters", identity, cause)
        for _ in told[identity] - sent:
            report.differ("dead letters", identity, "an id_conflict of what was never sent")


def _notices(
    customers: Customers, truth: Truth, held: Platform, terms: AllTerms, report: Report
) -> None:
    wanted: set[str] = set()
    entries = {
        customer: [row["entry_id"] for row in rows]
        for customer, rows in grouped(held.ledger(LEDGER), "customer_id")
    }
    for customer, sent in customers.items():
        ordered = with_voids_apart(sent, entries.get(customer, ()))
        wanted |= sent_notices.called_for(customer, replay(ordered, terms))
    sent_notices.compare(wanted, truth, held.notices(), report)


def _transaction_id(raw: bytes) -> str | None:
    try:
        found = orjson.loads(raw)["transaction_id"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _passed_on(truth: Truth, held: Platform, report: Report) -> None:
    """What the front door wrote of each transaction. It may write one again after a crash, as it was."""
    times: Counter[str] = Counter()
    for document in held.passed_on():
        identity = document["transaction_id"]
        if identity in truth.training:
            report.differ("transactions", identity, "of a training till, and passed on")
        if identity in truth.uncounted:
            report.differ("transactions", identity, "a void that does not count, and passed on")
        if identity not in truth.facts:
            continue
        times[identity] += 1
        fact = Fact(document["total"], document["currency"], len(document["lines"]))
        if fact not in truth.facts[identity]:
            cause = f"{fact.total} {fact.currency} of {fact.lines} lines was never sent"
            report.differ("transactions", identity, cause)
    if held.begins_later(TRANSACTIONS):
        report.others["transactions still in their topic"] = len(times)
        return
    report.add("transactions passed on", len(truth.valid_ids), len(times))
    report.others["transactions passed on again"] = times.total() - len(times)
    for identity in truth.valid_ids - times.keys():
        report.differ("transactions", identity, "sent and valid, not passed on")


def _archive(truth: Truth, held: Platform, report: Report) -> None:
    rows = held.archive(["transaction_id"])["transaction_id"].to_pylist()
    ours = Counter(identity for identity in rows if identity in truth.valid_ids)
    report.others["archive rows"] = len(rows) - ours.total()
    report.add("archived transactions", len(truth.valid_ids), ours.total())
    for identity, count in ours.items():
        if count > 1:
            report.differ("archive", identity, f"archived {count} times")
    for identity in truth.valid_ids:
        if identity not in ours:
            report.differ("archive", identity, "sent and valid, not archived")
