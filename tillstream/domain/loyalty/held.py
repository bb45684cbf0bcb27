"""What the fraud job says about a sale: held, released, fraud. What follows for points is in `ledger`.

Its topic of holds says each thing at least once, and not always in order. So the newest word counts, by when
its verdict was said; a hold comes before every verdict, whenever it arrives.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tillstream.domain.documents import Ms, decode
from tillstream.domain.receipt.contract import Currency, Id, Minor

Action = Literal["hold", "release", "decline"]
KINDS = {"hold": "held", "release": "released", "decline": "fraud"}  # of the ledger's entries


class Word(Struct, array_like=True, gc=False):
    """The newest about one sale. ``at_ms``: when it was said. event_ms: the sale's time."""

    action: str
    at_ms: int
    event_ms: int
    store: int
    region: str = ""
    currency: str = ""


class HoldOrder(Struct, frozen=True, gc=False):
    """Of `fraud.actions.Hold`; HoldOrder.java is the same contract. A release or decline has neither
    region nor currency; without a customer it is about a sale of nobody, or of a release of before."""

    transaction_id: Id
    action: Action
    store: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    event_time_ms: Ms
    ordered_at_ms: Ms
    customer_id: Id | None = None
    region: Annotated[str, Meta(max_length=64)] | None = None
    currency: Currency | None = None
    total_cents: Minor | None = None  # for revenue alone


def parse_order(raw: bytes) -> HoldOrder:
    """Raises InvalidTransaction, and nothing else."""
    return decode(raw, HoldOrder, nulls=True)


def newer(order: HoldOrder, known: Word) -> bool:
    """Whether ``order`` is a later word. Of two verdicts of one moment fraud counts."""
    return _rank(order.action, order.ordered_at_ms) > _rank(known.action, known.at_ms)


def _rank(action: str, at_ms: int) -> tuple[bool, int, bool]:
    verdict = action != "hold"
    return verdict, at_ms if verdict else 0, action == "decline"


def word_of(order: HoldOrder, known: Word | None) -> Word:
    """What is kept of ``order``; ``known``: the word before it, which may know more of the sale."""
    return Word(
        order.action,
        order.ordered_at_ms,
        order.event_time_ms,
        order.store,
        order.region or (known.region if known else ""),
        order.currency or (known.currency if known else ""),
    )
