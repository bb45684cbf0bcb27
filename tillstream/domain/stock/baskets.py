"""What the inventory job reads of a transaction, and which of its lines no shelf can count.

StockLines.java reads all of them, by CanonicalReceipt.java; here is read what it has not taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from tillstream.domain.receipt.product import printed
from tillstream.domain.receipt.reading import (
    MOST_LINES,
    Amount,
    ArrivalMs,
    EventMs,
    Number,
    reader,
    stock_units,
)

PIECE = 1000  # thousandths
TRADE = frozenset({"sale", "return"})
MOST = 2**31 - 1  # units: what four bytes of `recent_lines` hold


class Part(NamedTuple):
    """What one bundle holds of a product, as shelves know it: so many pieces, or thousandths of ``unit``."""

    product: str
    units: int
    unit: str


Bundles = Mapping[str, tuple[Part, ...]]  # by the code that a bundle is sold under
NO_BUNDLES: Bundles = {}


class Item(Struct, frozen=True, gc=False):
    """Of `receipt.canonical.Item`."""

    kind: str
    product: str
    amount: Amount
    paid: Amount
    thousandths: Amount = PIECE
    unit: str = "each"
    list_price: Amount | None = None
    back_to: str = ""


class Receipt(Struct, frozen=True, gc=False):
    """Of `receipt.canonical.Receipt`."""

    transaction_id: str
    store: Number
    ended_ms: EventMs
    currency: str
    source: str
    lines: Annotated[tuple[Item, ...], Meta(max_length=MOST_LINES)]
    kind: Literal["retail", "void"] = "retail"
    voids: str = ""
    arrived_ms: ArrivalMs = 0
    version: Literal[1] = 1


read = reader(Receipt)


def moves(line: Item) -> bool:
    """Whether goods leave a shelf or come back to it."""
    to_shelf = line.kind == "sale" or (line.kind == "return" and line.back_to == "shelf")
    return to_shelf and bool(line.product)


def taken_out(lines: tuple[Item, ...]) -> set[int]:
    """Places of goods that were rung up and taken out again, and of the lines that took them out: they
    never left the shelf. Two lines alike but for their signs, of goods that go to the same place; a part that
    is taken out stays two."""
    rung_up: dict[tuple[tuple[str, ...], tuple[int, int, int]], list[int]] = {}
    gone: set[int] = set()
    for n, line in enumerate(lines):
        if line.kind in TRADE and line.thousandths:
            what = line.kind, printed(line.product), line.unit, line.back_to
            figures = line.thousandths, line.amount, line.paid
            if before := rung_up.get((what, (-figures[0], -figures[1], -figures[2]))):
                gone |= {n, before.pop()}
            else:
                rung_up.setdefault((what, figures), []).append(n)
    return gone


def uncounted(receipt: Receipt, bundles: Bundles = NO_BUNDLES) -> tuple[str, str] | None:
    """Reason and message where lines that move stock cannot be counted; the others do move it."""
    gone = taken_out(receipt.lines)
    moved = [
        (f"$.lines[{n}]", line)
        for n, line in enumerate(receipt.lines)
        if moves(line) and n not in gone
    ]
    if parts := [where for where, line in moved if is_part_of_piece(line, bundles)]:
        return "fraction_of_a_piece", f"{', '.join(parts)}: a part of a piece cannot be counted"
    if large := [where for where, line in moved if not is_countable(line, bundles)]:
        return "out_of_range", f"{', '.join(large)}: more than {MOST} units of stock"
    return None


def is_part_of_piece(line: Item, bundles: Bundles = NO_BUNDLES) -> bool:
    if line.unit != "each":
        return printed(line.product) in bundles  # which is sold by the piece
    return line.thousandths % PIECE != 0


def is_countable(line: Item, bundles: Bundles = NO_BUNDLES) -> bool:
    if is_part_of_piece(line, bundles):
        return False
    units = abs(stock_units(line.thousandths, line.unit))
    parts = bundles.get(printed(line.product), ())
    return max([units, *(units * part.units for part in parts)]) <= MOST
