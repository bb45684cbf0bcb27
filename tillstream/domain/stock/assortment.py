"""What is not sold here (any more): orders about the assortment, contract v1, and what holds by them.

Of the orders that cover a shelf and have begun, the one that begins last decides; of several that begin
together the narrowest, a store's before a country's before all. So a product that is delisted everywhere and
relisted in one store afterwards is sold there, until it is delisted everywhere again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tillstream.domain.documents import Id, Ms, ShelfProduct, StoreNumber, decode, refuse
from tillstream.domain.receipt.product import same
from tillstream.domain.stock.ledger import FIRST_CENTRE

MOST_ORDERS = (
    50_000  # kept by each subtask; besides, up to MOST_OF_ONE that bring back what is gone
)
MOST_OF_ONE = 8  # of one product or store in one scope: the one that holds and what is planned


class RangeOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A product leaves the range or comes back to it, a store closes or opens again, from ``from_ms`` on.
    Without ``country`` and ``store`` a product's order holds everywhere. by: who ordered it."""

    schema: Literal[1]
    assortment_id: Id
    action: Literal["delist", "relist", "close", "reopen"]
    product: ShelfProduct | None = None
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")] | None = None
    store: StoreNumber | None = None
    from_ms: Ms
    by: Annotated[str, Meta(pattern=r"^[a-z][a-z_-]{1,30}:[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]

    @property
    def key(self) -> str:
        """What it is about: of several orders with one key the one that begins last holds."""
        if self.product is None:
            return f"store/{self.store}"
        return f"{same(self.product)}/{self.store or self.country or ''}"

    @property
    def name(self) -> str:
        """By which it is kept."""
        return f"{self.key}@{self.from_ms}/{self.assortment_id}"

    @property
    def ends_trade(self) -> bool:
        return self.action in ("delist", "close")


def parse(raw: bytes) -> RangeOrder:
    """The order in ``raw`` (UTF-8 JSON). Raises InvalidTransaction, and nothing else."""
    found = decode(raw, RangeOrder)
    of_store = found.action in ("close", "reopen")
    if of_store and found.store is None:
        raise refuse("missing_field", "$.store is required to close or reopen one")
    if of_store and (found.product is not None or found.country is not None):
        raise refuse("not_allowed", "$.product and $.country are for delist and relist")
    if not of_store and found.product is None:
        raise refuse("missing_field", "$.product is required to delist or relist one")
    if found.country is not None and found.store is not None:
        raise refuse("not_allowed", "$.country is for an order without $.store")
    return found


class Range:
    """The orders that hold or will, of all stores. ``countries``: of stores."""

    def __init__(self, countries: Mapping[int, str]) -> None:
        self._countries = countries
        self._orders: dict[str, list[RangeOrder]] = {}
        self._by_id: dict[str, RangeOrder] = {}
        self._count = 0
        self._now_ms = 0  # the latest arrival: an order that comes again brings an old one

    def after(self, order: RangeOrder, now_ms: int | None) -> list[RangeOrder] | None:
        """The orders of its key with it among them, the oldest first; None where it changes nothing: it is
        known, or a later one holds already. ``now_ms``: what has been replaced by then is left out; None
        keeps all. Raises InvalidTransaction."""
        known = self._orders.get(order.key, [])
        if order in known:
            return None
        # Releases of before have kept orders of several products or stores under one id: those stay.
        other = self._by_id.get(order.assortment_id)
        if other is not None and (now_ms is not None or other.key == order.key):
            raise refuse("id_conflict", "another order with this assortment_id came before it")
        orders = sorted([*known, order], key=_begins)
        if now_ms is not None:
            self._now_ms = now_ms = max(self._now_ms, now_ms)
            begun = [one for one in orders if one.from_ms <= now_ms]
            orders = [*begun[-1:], *orders[len(begun) :]]
        if order not in orders:
            return None
        # What brings back what is gone always can, and what was kept was taken once.
        may_add = now_ms is None or (bool(known) and not order.ends_trade)
        count = self._count - len(known) + len(orders)
        if len(orders) > MOST_OF_ONE or (count > MOST_ORDERS and not may_add):
            raise refuse("out_of_range", f"more than {MOST_OF_ONE} orders, or {MOST_ORDERS} in all")
        return orders

    def put(self, key: str, orders: list[RangeOrder]) -> list[str]:
        """Replaces those of a key; names of those that are gone."""
        before = self._orders.get(key, [])
        self._orders[key] = orders
        self._count += len(orders) - len(before)
        gone = [one for one in before if one not in orders]
        for one in gone:
            if self._by_id.get(one.assortment_id) is one:
                del self._by_id[one.assortment_id]
        self._by_id.update((one.assortment_id, one) for one in orders)
        return [one.name for one in gone]

    def ended(self, store: int, product: str, at_ms: int) -> RangeOrder | None:
        """The order by which nothing is sold on this shelf at that time. Centres have none."""
        if not self._orders or store >= FIRST_CENTRE:
            return None
        if (closed := self.closed(store, at_ms)) is not None:
            return closed
        order = max(self._of_product(store, product, at_ms), key=lambda one: one[:2], default=None)
        return order[2] if order is not None and order[2].ends_trade else None

    def closed(self, store: int, at_ms: int) -> RangeOrder | None:
        """The order by which the whole store sells nothing at that time."""
        order = self._holds(f"store/{store}", at_ms)
        return order if order is not None and order.ends_trade else None

    def opened_ms(self, store: int, at_ms: int) -> int:
        """When the store was opened again; 0 if it never was closed, or is."""
        order = self._holds(f"store/{store}", at_ms)
        return order.from_ms if order is not None and not order.ends_trade else 0

    def since_ms(self, store: int, product: str, at_ms: int) -> int:
        """When the last order about this shelf began; 0 without one."""
        orders = [one for _, _, one in self._of_product(store, product, at_ms)]
        orders += filter(None, [self._holds(f"store/{store}", at_ms)])
        return max((one.from_ms for one in orders), default=0)

    def _of_product(
        self, store: int, product: str, at_ms: int
    ) -> list[tuple[int, int, RangeOrder]]:
        """Of each scope the order that holds, behind when it began and how narrow it is."""
        scopes = ("", self._countries.get(store, "-"), str(store))
        found = [self._holds(f"{product}/{scope}", at_ms) for scope in scopes]
        return [(one.from_ms, n, one) for n, one in enumerate(found) if one is not None]

    def _holds(self, key: str, at_ms: int) -> RangeOrder | None:
        """Of one key, the last one that has begun."""
        begun = [one for one in self._orders.get(key, ()) if one.from_ms <= at_ms]
        return begun[-1] if begun else None


def _begins(order: RangeOrder) -> tuple[int, str]:
    return order.from_ms, order.assortment_id
