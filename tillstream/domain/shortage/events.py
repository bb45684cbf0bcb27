"""What the watch over a store's shelves needs of a till transaction and of a stock ledger's entry."""

from __future__ import annotations

from collections.abc import Iterable, Set
from hashlib import blake2b
from typing import Annotated

import msgspec
from msgspec import Meta

from tillstream.domain.documents import Ms, Place, Product, decode
from tillstream.domain.promotions.promotion import Announcement, Promotion, kept_of
from tillstream.domain.shortage.store import Basket, Level
from tillstream.domain.transaction import Transaction

Quantity = Annotated[int, Meta(ge=-(2**53), le=2**53)]
ARRIVALS = frozenset({"delivery", "transfer_in"})
COUNTS = frozenset({"count", "correction"})


class StockChange(msgspec.Struct, gc=False, frozen=True):
    """The fields read of an entry of the stock ledger; ``version`` counts the entries of a shelf."""

    store: Place
    product: Product
    version: Annotated[int, Meta(ge=0, lt=2**53)]
    kind: Annotated[str, Meta(max_length=32)]
    old_quantity: Quantity
    new_quantity: Quantity
    event_time_ms: Ms


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
    for store in announced.stores or stores:
        yield store, StorePromotion(store, announced.products, kept)


def basket(txn: Transaction, arrived_ms: int, categories: Set[str]) -> Basket | None:
    """The basket with the lines of watched ``categories``; None for a refund, which says nothing of
    what is asked for now."""
    if txn.kind == "refund":
        return None
    watched: dict[str, int] = {}
    for line in txn.lines:
        if line.category in categories:
            watched[line.product] = watched.get(line.product, 0) + line.quantity
    return Basket(
        txn.region,
        txn.event_time_ms,
        arrived_ms,
        tuple(watched.items()),
        blake2b(txn.transaction_id.encode(), digest_size=4).digest(),
        1 if txn.kind == "sale" else -1,
    )


def level(change: StockChange, arrived_ms: int) -> Level:
    """What is left; goods came by a delivery, or by a count that found more."""
    more = change.new_quantity > change.old_quantity
    return Level(
        change.product,
        change.new_quantity,
        change.version,
        min(change.event_time_ms, arrived_ms),
        arrived_ms,
        change.kind in ARRIVALS or (more and change.kind in COUNTS),
    )
