"""The one form of a transaction that every job reads, written by the front door alone.

Everything in it has been checked and is in one form: stores are numbers of the grocer's table, products as
`product` has them, quantities thousandths of a unit, times ms since 1970 UTC, money minor units of
``currency``. Signs are the till's balance: what the customer pays is positive, and so is a quantity that
leaves the shop; a void is the receipt it undoes with all signs turned. So sums need no cases.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

VERSION = 1
Int = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Long = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Item(Struct, frozen=True, gc=False, omit_defaults=True):
    """A line that counts. ``paid``: its share of the total, so that the lines' shares make the total exactly:
    its amount, less its part of the basket's discounts, plus that of added tax and of rounding. ``off``: what
    its own discounts and those of the basket take off. ``tax``: all of it, included or added; ``taxed``:
    which of the receipt's taxes it bears, by their places; ``taxes``: how much of each, where several.
    ``back_to``: what becomes of a return; ``of``: the receipt that it was on."""

    kind: str
    product: str
    amount: Long
    paid: Long
    thousandths: Long = 1000
    unit: str = "each"
    category: str = ""
    list_price: Long | None = None
    off: Long = 0
    tax: Long = 0
    back_to: str = ""
    of: str = ""
    reason: str = ""
    agency: str = ""
    promotions: tuple[str, ...] = ()
    expires: str = ""
    lot: str = ""
    taxed: tuple[Int, ...] = ()
    taxes: tuple[Long, ...] = ()


class TaxOf(Struct, frozen=True, gc=False, omit_defaults=True):
    """A tax of the receipt, which its lines share. ``rate``: percent as text, "" where nobody says it.
    ``added``: it comes on top of the lines' amounts, else it is in them. ``net``: what it is on, without
    it, where that is known."""

    code: str
    amount: Long
    rate: str = ""
    added: bool = False
    net: Long | None = None


class Paid(Struct, frozen=True, gc=False, omit_defaults=True):
    """A tender that was taken. ``foreign``: in which currency, if not the receipt's."""

    kind: str
    amount: Long
    card_token: str = ""
    cashback: Long = 0
    foreign: str = ""


class Receipt(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """version: of this form. source: the contract or mapping it came by, as ``pos/2`` or ``loyverse/1``. key:
    by which the stream is partitioned. arrived_ms, origin: of the raw record. offset_min: of the store's
    clock. declined, voided: how many tenders and lines the till struck out."""

    version: Literal[1] = 1
    transaction_id: str
    kind: Literal["retail", "void"] = "retail"
    source: str
    store: Int
    region: str
    till: str
    ended_ms: Long
    offset_min: Int
    business_day: str
    currency: str
    total: Long
    lines: tuple[Item, ...]
    tenders: tuple[Paid, ...] = ()
    tax: Long = 0
    rounding: Long = 0
    customer: str = ""
    points_asked: Long = 0
    points_granted: Long | None = None
    voids: str = ""
    cashier: str = ""
    channel: str = "till"
    offline: bool = False
    sequence: Long | None = None
    began_ms: Long | None = None
    declined: Int = 0
    voided: Int = 0
    key: str = ""
    arrived_ms: Long = 0
    origin: str = ""
    taxes: tuple[TaxOf, ...] = ()
