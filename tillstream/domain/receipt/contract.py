"""Contract v2 of a till transaction: what a till, a web shop or a mapping sends, by types.

For readers it is state_schemas/events/pos_transaction/v2.json; this is the same as code. The vocabulary is
that of the OMG/ARTS retail transaction (POSLog 6). Money is in minor units of ``currency``, signed as it
counts for the total: what the customer pays is positive, what is paid back negative.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from tillstream.domain.receipt.amounts import MOST

SCHEMA_VERSION = 2

ID = r"[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}"
DECIMAL = r"-?[0-9]+(\.[0-9]+)?"  # one that is a text, not a number of JSON
Id = Annotated[str, Meta(pattern=rf"^{ID}\Z")]
# By what stands before or behind an id here jobs name lines of documents, claims, words of fraud.
_OURS = r"(?![MPR]:)(?!.*(?:/card|:owner|:elsewhere|:settled|:(?:held|released|fraud):[0-9]+)$)"
TransactionId = Annotated[str, Meta(pattern=rf"^{_OURS}{ID}\Z")]
# The accounts of households are called so: no till may name one.
CustomerId = Annotated[str, Meta(pattern=rf"^(?!household:){ID}\Z")]
Slug = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}\Z")]
Code = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{0,64}\Z")]
Token = Annotated[str, Meta(pattern=r"^tok_[0-9a-z]{16,32}\Z")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
Minor = Annotated[int, Meta(ge=-MOST, le=MOST)]
Positive = Annotated[int, Meta(ge=0, le=MOST)]
Points = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Number = Annotated[int, Meta(ge=1, le=100_000)]
Moment = Annotated[datetime, Meta(tz=True)]

LineKind = Literal[
    "sale", "return", "deposit", "bottle_return", "fee", "gift_card", "agency", "coupon"
]


class _Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all have in common: no field but those of the contract."""


class Discount(_Part, frozen=True, kw_only=True):
    """What comes off; ``amount`` is positive where the customer pays less. ``line``: number of the line that
    a discount of the basket is for; that line's amount is before it then."""

    amount: Minor
    kind: Literal["promotion", "loyalty", "staff", "coupon", "clearance", "manual", "other"]
    promotion: Id | None = None
    line: Number | None = None


class Tax(_Part, frozen=True, kw_only=True):
    """``rate`` in percent. ``included``: it is part of the lines' amounts, else it comes on top."""

    code: Code
    amount: Minor
    rate: Decimal | None = None
    taxable: Minor | None = None
    included: bool = True


class Back(_Part, frozen=True, kw_only=True):
    """Of a return. ``receipt``: transaction id of the sale, if there is one. ``fate``: of the goods. A
    correction without it has that of the return it takes back."""

    receipt: Id | None = None
    reason: Slug | None = None
    fate: Literal["shelf", "waste", "supplier"] = "shelf"


class ReceiptLine(_Part, frozen=True, kw_only=True):
    """One line. ``amount`` is what it adds to the total, after its own ``discounts``. ``quantity`` is
    positive whichever way the goods go. ``list_price`` and ``price`` (paid) are for one ``unit``. ``voided``:
    the till struck it out, it counts for nothing. ``correction``: it takes back an earlier line of this
    receipt, which stays; its amount has the other sign and its quantity counts the other way. ``parent``:
    number of the line that it belongs to, as a deposit does. ``description``: what is printed."""

    number: Number
    kind: LineKind
    amount: Minor
    quantity: Decimal = Decimal(1)
    unit: Literal["each", "kg", "lb", "l", "m"] = "each"
    scheme: Literal["gtin", "plu", "barcode", "sku", "name"] = "gtin"
    code: Code = ""
    description: Code | None = None
    category: Slug | None = None
    list_price: Decimal | None = None
    price: Decimal | None = None
    discounts: Annotated[tuple[Discount, ...], Meta(max_length=50)] = ()
    override: Slug | None = None
    taxes: Annotated[tuple[Tax, ...], Meta(max_length=20)] = ()
    back: Back | None = None
    agency: Literal["airtime", "electricity", "lottery", "bill_payment", "other"] | None = None
    lot: Code | None = None
    expires: date | None = None
    voided: bool = False
    correction: bool = False
    parent: Number | None = None


class Tender(_Part, frozen=True, kw_only=True):
    """One way of paying. ``change`` is negative. ``cashback``: how much of ``amount`` was given out in cash.
    A declined one counts for nothing."""

    kind: Literal[
        "card", "cash", "mobile", "gift_card", "eft", "voucher", "points", "account", "social_grant",
        "other", "change",
    ]  # fmt: skip
    amount: Minor
    card_token: Token | None = None
    cashback: Positive = 0
    foreign_currency: Currency | None = None
    foreign_amount: Minor | None = None
    declined: bool = False


class Loyalty(_Part, frozen=True, kw_only=True):
    """``asked``: points the customer wants to redeem; ``granted``, ``earned``: what the till gave for, if it
    knows."""

    customer: CustomerId
    asked: Points = 0
    granted: Points | None = None
    earned: Points | None = None


class RetailTransaction(_Part, frozen=True, kw_only=True):
    """A basket, or the void of a whole one. Times have the store's offset.

    A void repeats the receipt that it undoes as it was, with the same signs; ``voids`` is that one's id.
    ``total`` is lines - discounts of the basket + tax that is not included + rounding, and equals the
    tenders where there are any. ``business_day``: the store's; if absent, the day of ``ended_at`` there.
    ``sequence``: the till's own count, in which gaps are found. ``cashier`` and ``approved_by`` are ids,
    never names. ``fiscal_id``: what the tax authority's device gave. ``source``: the mapping
    that made it. ``training``: has no effect anywhere.
    Optional fields are left out; those that are null in this schema may be null.
    """

    schema: Literal[2]
    transaction_id: TransactionId
    kind: Literal["retail", "void"]
    store: Id
    till: Id
    ended_at: Moment
    currency: Currency
    total: Minor
    lines: Annotated[tuple[ReceiptLine, ...], Meta(max_length=1_000)] = ()
    tenders: Annotated[tuple[Tender, ...], Meta(max_length=100)] = ()
    discounts: Annotated[tuple[Discount, ...], Meta(max_length=1_000)] = ()
    taxes: Annotated[tuple[Tax, ...], Meta(max_length=50)] = ()
    rounding: Minor = 0
    began_at: Moment | None = None
    business_day: date | None = None
    sequence: Annotated[int, Meta(ge=0, le=MOST)] | None = None
    cashier: Id | None = None
    approved_by: Id | None = None
    fiscal_id: Code | None = None
    channel: Literal["till", "self_checkout", "online", "click_and_collect", "delivery"] = "till"
    offline: bool = False
    training: bool = False
    loyalty: Loyalty | None = None
    voids: Id | None = None
    source: Code | None = None
