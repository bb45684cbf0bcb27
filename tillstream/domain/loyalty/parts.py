"""What a receipt does to its customer's points: a sale, and what comes back of earlier ones.

A receipt may hold both. Each part is posted by itself, under an id of its own, and amounts are what was paid
for its lines: their shares of the receipt's total.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from tillstream.domain.receipt.reading import reader

BACK = "return"


class Line(Struct, frozen=True, gc=False):
    """Of `receipt.canonical.Item`."""

    kind: str
    paid: int
    of: str = ""


class Receipt(Struct, frozen=True, gc=False):
    """Of `receipt.canonical.Receipt`."""

    transaction_id: str
    ended_ms: int
    store: int
    region: str
    currency: str
    total: int
    lines: tuple[Line, ...]
    kind: str = "retail"
    customer: str = ""
    points_asked: int = 0
    voids: str = ""
    arrived_ms: int = 0
    version: Literal[1] = 1


class Part(Struct, frozen=True, gc=False):
    """One posting. kind: sale, refund or void; ``refers_to`` is the sale that the latter two undo, None for a
    sale, "" for goods without a receipt. ``total_cents`` (minor units of ``currency``) is what was paid for
    it, or given back."""

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


read = reader(Receipt)


def parts(receipt: Receipt) -> Iterator[Part]:
    """Its postings. The first has the receipt's id, those after it ``<id>/<n>``, n from 2."""
    if receipt.kind == "void":
        yield _part(receipt, receipt.transaction_id, "void", max(-receipt.total, 0), receipt.voids)
        return
    sold, back = None, dict[str, int]()
    for line in receipt.lines:
        if line.kind == BACK:
            back[line.of] = back.get(line.of, 0) - line.paid
        else:
            sold = (sold or 0) + line.paid
    identity, n = receipt.transaction_id, 1
    if sold is not None:
        yield _part(receipt, identity, "sale", max(sold, 0), None, receipt.points_asked)
        n += 1
    for of, paid in back.items():
        own = identity if n == 1 else f"{identity}/{n}"
        yield _part(receipt, own, "refund", max(paid, 0), of)
        n += 1


def _part(
    receipt: Receipt, identity: str, kind: str, total: int, refers_to: str | None, points: int = 0
) -> Part:
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
    )
