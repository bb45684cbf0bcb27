"""A transaction as the fraud rules see it: of the front door's, only what they ask for.

One receipt may hold sales and returns. What changes hands decides: who pays is judged, who is given money
is not.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tillstream.domain.documents import Ms
from tillstream.domain.envelope import Envelope
from tillstream.domain.receipt import canonical
from tillstream.domain.receipt.amounts import MOST
from tillstream.domain.receipt.reading import arrival, reader
from tillstream.domain.transaction import InvalidTransaction

GIFT_CARDS = "gift-cards"  # the category of gift cards in v1
MOST_TILL_DIGITS = 9  # of a number, so that it fits the audit's column

# Limits cost nothing to check here, and whatever is beyond them would fail further on.
Amount = Annotated[int, Meta(ge=-MOST, le=MOST)]


class Line(Struct, frozen=True, gc=False, omit_defaults=True):
    """Of `receipt.canonical.Item`."""

    kind: str
    paid: Amount
    thousandths: Amount = 1000
    category: str = ""
    of: str = ""


class Tender(Struct, frozen=True, gc=False, omit_defaults=True):
    """Of `receipt.canonical.Paid`."""

    kind: str
    amount: Amount
    card_token: str = ""


class Receipt(Struct, frozen=True, gc=False, omit_defaults=True):
    """Of `receipt.canonical.Receipt`."""

    transaction_id: str
    store: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    region: str
    till: str
    ended_ms: Ms
    currency: str
    total: Amount
    lines: tuple[Line, ...]
    tenders: tuple[Tender, ...] = ()
    kind: str = "retail"
    customer: str = ""
    channel: str = "till"
    cashier: str = ""
    arrived_ms: Annotated[int, Meta(ge=0, le=MOST)] = 0
    version: Literal[1] = 1
    voids: str = ""


class Sale(Struct, frozen=True, gc=False):
    """kind: ``sale``, ``refund`` or ``void``. payment_method, card_token: of the first tender with a card,
    else of the largest one; "" and None where there is none. total_cents: what changes hands, in minor
    units of ``currency``, never negative. arrived_ms: when the broker took what the till sent. to_card: of a
    refund, how much of it goes to the card. undoes: the receipts that it voids or brings goods back from."""

    transaction_id: str
    kind: str
    store: int
    region: str
    till: str
    customer_id: str | None
    card_token: str | None
    payment_method: str
    event_time_ms: int
    currency: str
    total_cents: int
    lines: tuple[Line | canonical.Item, ...]
    arrived_ms: int
    channel: str = "till"
    cashier: str = ""
    to_card: int = 0
    undoes: tuple[str, ...] = ()

    @property
    def there(self) -> bool:
        """Whether customer and card were at the store; an order from home is at no place."""
        return self.channel in ("till", "self_checkout")


read_receipt = reader(Receipt)


def read(envelope: Envelope) -> Sale:
    """The sale in canonical JSON. Raises InvalidTransaction, and nothing else."""
    receipt = read_receipt(envelope.raw)
    sale = made_of(receipt, arrival(envelope, receipt.arrived_ms))
    # These become keys, which are a line of their own between two stages.
    if "\n" in f"{sale.till}{sale.customer_id}{sale.card_token}{sale.cashier}":
        raise InvalidTransaction("not_canonical", "$ has an id with a line end")
    return sale


def made_of(receipt: Receipt | canonical.Receipt, arrived_ms: int | None = None) -> Sale:
    """What is there of a receipt, once for all rules. ``arrived_ms``: in place of what it says itself."""
    token, method = "", ""
    for tender in receipt.tenders:
        if tender.card_token:
            token, method = tender.card_token, tender.kind
            break
    else:
        if receipt.tenders:
            method = max(receipt.tenders, key=_amount).kind
    total = receipt.total
    to_card = 0
    undoes: tuple[str, ...] = ()
    if receipt.kind == "void":
        kind = "void"
        undoes = (receipt.voids,) if receipt.voids else ()
    elif total > 0 or (not total and any(line.kind == "sale" for line in receipt.lines)):
        kind = "sale"
    else:
        kind = "refund"
        if token:
            to_card = -sum(one.amount for one in receipt.tenders if one.card_token == token)
        back = [line.of for line in receipt.lines if line.kind == "return" and line.of]
        undoes = tuple(dict.fromkeys(back))
    return Sale(
        receipt.transaction_id,
        kind,
        receipt.store,
        receipt.region,
        receipt.till,
        receipt.customer or None,
        token or None,
        method,
        receipt.ended_ms,
        receipt.currency,
        abs(total),
        receipt.lines,
        receipt.arrived_ms if arrived_ms is None else arrived_ms,
        receipt.channel,
        receipt.cashier,
        max(to_card, 0),
        undoes,
    )


def _amount(tender: Tender | canonical.Paid) -> int:
    return tender.amount


def category_of(line: Line | canonical.Item) -> str:
    """What a till marks as a gift card is one, whatever else it says of it. "" if nothing is known."""
    return GIFT_CARDS if line.kind == "gift_card" else line.category


def till_number(till: str | int) -> int | str:
    """The number that a till is called by, as in v1 and in labels; its name if that is no number."""
    if isinstance(till, int):
        return till
    plain = till.isascii() and till.isdecimal() and till[0] != "0"
    return int(till) if plain and len(till) <= MOST_TILL_DIGITS else till


def terminal(store: int, till: str | int) -> str:
    """Business id of a till: ``0023-04``, or ``0023/T-7`` where its name is no number."""
    known = till_number(till)
    return f"{store:04d}-{known:02d}" if isinstance(known, int) else f"{store:04d}/{known}"
