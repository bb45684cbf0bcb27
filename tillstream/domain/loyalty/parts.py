"""What a receipt does to its customer's points: a sale, and what comes back of earlier ones.

A receipt may hold both. Each part is posted by itself, under an id of its own, and amounts are what was paid
for its lines: their shares of the receipt's total.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from tillstream.domain.receipt.reading import (
    MOST_LINES,
    Amount,
    ArrivalMs,
    EventMs,
    Number,
    reader,
)

BACK = "return"
# Kinds of lines on which points are earned; a coupon takes off what is. Gift cards, agency goods (airtime,
# lottery, electricity), deposits and fees earn nothing, whatever their category.
EARN = frozenset({"sale", "return", "coupon"})
# What is paid out at the till and is no part of a purchase: bottles, a prize of the lottery. They earned
# nothing when they were paid for, so they take nothing back.
PAID_OUT = frozenset({"bottle_return", "agency"})


class Line(Struct, frozen=True, gc=False):
    """Of `receipt.canonical.Item`."""

    kind: str
    paid: Amount
    category: str = ""
    of: str = ""


class Receipt(Struct, frozen=True, gc=False):
    """Of `receipt.canonical.Receipt`."""

    transaction_id: str
    ended_ms: EventMs
    store: Number
    region: str
    currency: str
    total: Amount
    lines: Annotated[tuple[Line, ...], Meta(max_length=MOST_LINES)]
    kind: str = "retail"
    customer: str = ""
    points_asked: Number = 0
    points_granted: Number | None = None
    voids: str = ""
    arrived_ms: ArrivalMs = 0
    version: Literal[1] = 1


class Part(Struct, frozen=True, gc=False):
    """One posting. kind: sale, refund or void; ``refers_to`` is the sale that the latter two undo, None for a
    sale, "" for goods without a receipt. ``total_cents`` (minor units of ``currency``) is what was paid for
    it, or given back; ``excluded_cents`` of that are for what earns nothing. claimed: of a receipt of another
    customer, or of nobody known, it takes back what this one's earned. granted: points that the till has
    taken for money already, None where it leaves that to the ledger."""

    transaction_id: str
    kind: str
    event_time_ms: int
    customer_id: str
    store: int
    region: str
    currency: str
    total_cents: int
    points_to_redeem: int = 0
    refers_to: str | None = None
    excluded_cents: int = 0
    claimed: bool = False
    granted: int | None = None


read = reader(Receipt)


def parts(receipt: Receipt, earn_nothing: Set[str] = frozenset()) -> Iterator[Part]:
    """Its postings. The first has the receipt's id, those after it ``<id>#<n>``, n from 2, which is no
    till's id. earn_nothing: categories of goods on which no point is earned."""
    if receipt.kind == "void":
        total = max(-receipt.total, 0)
        yield _part(receipt, receipt.transaction_id, "void", total, 0, receipt.voids)
        return
    sold, excluded, back = None, 0, dict[str, tuple[int, int]]()
    for line in receipt.lines:
        if line.paid < 0 and line.kind in PAID_OUT:
            continue
        nothing = line.kind not in EARN or line.category in earn_nothing
        if line.kind == BACK or line.of:
            paid, of_excluded = back.get(line.of, (0, 0))
            back[line.of] = paid - line.paid, of_excluded - (line.paid if nothing else 0)
        else:
            sold = (sold or 0) + line.paid
            excluded += line.paid if nothing else 0
    identity, n = receipt.transaction_id, 1
    if sold is not None:
        one = _part(receipt, identity, "sale", sold, excluded, None, receipt.points_asked)
        granted = receipt.points_granted
        yield one if granted is None else replace(one, granted=granted)
        n += 1
    for of, (paid, of_excluded) in back.items():
        own = identity if n == 1 else f"{identity}#{n}"
        yield _part(receipt, own, "refund", paid, of_excluded, of)
        n += 1


def claimed_of(
    receipt: Receipt, of: str, owner: str, earn_nothing: Set[str] = frozenset()
) -> Iterator[Part]:
    """The postings in the account of ``owner``, whose receipt ``of`` is, of a receipt that is another's."""
    for part in parts(receipt, earn_nothing):
        if part.refers_to == of or (part.kind == "void" and part.refers_to):
            yield replace(part, customer_id=owner, claimed=True)


def _part(
    receipt: Receipt,
    identity: str,
    kind: str,
    total: int,
    excluded: int,
    refers_to: str | None,
    points: int = 0,
) -> Part:
    total = max(total, 0)
    return Part(
        identity,
        kind,
        receipt.ended_ms,
        receipt.customer,
        receipt.store,
        receipt.region,
        receipt.currency,
        total,
        points,
        refers_to,
        min(max(excluded, 0), total),
    )
