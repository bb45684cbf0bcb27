"""What the watch over a store's shelves needs of a till transaction and of a stock ledger's entry."""

from __future__ import annotations

from collections.abc import Iterable, Set
from hashlib import blake2b
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tillstream.domain.documents import Ms, Place, decode
from tillstream.domain.promotions.promotion import Announcement, Promotion, kept_of
from tillstream.domain.receipt.product import printed, same
from tillstream.domain.receipt.reading import (
    MOST_LINES,
    Amount,
    ArrivalMs,
    EventMs,
    Number,
    reader,
    stock_units,
)
from tillstream.domain.shortage.store import Basket, Level

Quantity = Annotated[int, Meta(ge=-(2**53), le=2**53)]
ARRIVALS = frozenset({"delivery", "transfer_in"})
COUNTS = frozenset({"count", "correction"})


class Line(msgspec.Struct, frozen=True, gc=False):
    """Of `receipt.canonical.Item`."""

    kind: str
    product: str
    thousandths: Amount = 1000
    unit: str = "each"
    category: str = ""


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Of `receipt.canonical.Receipt`."""

    transaction_id: str
    store: Number
    region: str
    ended_ms: EventMs
    lines: Annotated[tuple[Line, ...], Meta(max_length=MOST_LINES)]
    kind: str = "retail"
    arrived_ms: ArrivalMs = 0
    version: Literal[1] = 1


read = reader(Receipt)


class StockChange(msgspec.Struct, gc=False, frozen=True):
    """The fields read of an entry of the stock ledger; ``version`` counts the entries of a shelf.
    ``counted_ms`` is -1 for one that was never counted; entries of the release before lack it."""

    store: Place
    product: Annotated[str, Meta(min_length=1, max_length=100)]
    version: Annotated[int, Meta(ge=0, lt=2**53)]
    kind: Annotated[str, Meta(max_length=32)]
    old_quantity: Quantity
    new_quantity: Quantity
    event_time_ms: Ms
    counted_ms: Annotated[int, Meta(ge=-1, lt=2**53)] = 0


_change = msgspec.json.Decoder(StockChange).decode


def parse_change(raw: bytes) -> StockChange:
    """Raises InvalidTransaction, and nothing else."""
    try:
        return _change(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return decode(raw, StockChange, nulls=True)  # says why


class StorePromotion(msgspec.Struct, gc=False, frozen=True):
    """A promotion as one store hears of it."""

    store: int
    products: tuple[str, ...]
    promotion: Promotion


def promotions(
    announced: Announcement, stores: Iterable[int]
) -> Iterable[tuple[int, StorePromotion]]:
    """(store, promotion) for each store it holds in."""
    kept = kept_of(announced)
    products = tuple(map(same, announced.products))
    for store in announced.stores or stores:
        yield store, StorePromotion(store, products, kept)


def basket(receipt: Receipt, arrived_ms: int, categories: Set[str]) -> Basket | None:
    """What was sold of the watched ``categories``; None for a receipt on which nothing was: goods that come
    back say nothing of what is asked for now."""
    sold = [line for line in receipt.lines if line.kind == "sale"]
    if not sold:
        return None
    way = -1 if receipt.kind == "void" else 1
    watched: dict[str, int] = {}
    for line in sold:
        if line.category in categories:
            product, units = printed(line.product), stock_units(way * line.thousandths, line.unit)
            watched[product] = watched.get(product, 0) + units
    return Basket(
        receipt.region,
        receipt.ended_ms,
        arrived_ms,
        tuple(watched.items()),
        blake2b(receipt.transaction_id.encode(), digest_size=4).digest(),
        way,
    )


def level(change: StockChange, arrived_ms: int) -> Level:
    """What is left, which nobody knows of a shelf that was never counted; goods came by a delivery, or by a
    count that found more."""
    more = change.new_quantity > change.old_quantity
    return Level(
        change.product,
        None if change.counted_ms < 0 else change.new_quantity,
        change.version,
        min(change.event_time_ms, arrived_ms),
        arrived_ms,
        change.kind in ARRIVALS or (more and change.kind in COUNTS),
    )
