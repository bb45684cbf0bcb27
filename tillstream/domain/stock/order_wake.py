"""The timer of a shelf that may have no line again: it has open orders, or nothing and is not sold from."""

from __future__ import annotations

from zlib import crc32

from tillstream.domain.stock.actions import Action, asks_itself
from tillstream.domain.stock.assortment import RangeOrder
from tillstream.domain.stock.ledger import HOUR_MS, Stock
from tillstream.domain.stock.replenishment import PlanningRules


def order_wake_ms(now_ms: int, store: int, product: str, rules: PlanningRules) -> int:
    """When to see whether what was ordered is still wanted: between one and two retries from now, at the
    shelf's own place on a grid of retries. So however many orders there are, a shelf has one timer or two,
    and not all shelves have theirs at once. It ends in 999, as no other timer."""
    grid_ms, at_ms = _grid(store, product, rules)
    return ((now_ms - at_ms) // grid_ms + 2) * grid_ms + at_ms - 1


def is_order_wake(at_ms: int) -> bool:
    return at_ms % 1000 == 999


def on_grid(at_ms: int, store: int, product: str, rules: PlanningRules) -> bool:
    """Whether it is surely an order's: the release before had retries that end in 999 by chance."""
    grid_ms, place_ms = _grid(store, product, rules)
    return (at_ms + 1 - place_ms) % grid_ms == 0


def enters(before_ms: int, now_ms: int, rules: PlanningRules) -> bool:
    """Whether a shelf's own clock went on to another retry: often enough to see to its timer, which an order
    of the release before does not have."""
    grid_ms = rules.retry_hours * HOUR_MS
    return before_ms // grid_ms != now_ms // grid_ms


def _grid(store: int, product: str, rules: PlanningRules) -> tuple[int, int]:
    grid_ms = rules.retry_hours * HOUR_MS
    return grid_ms, crc32(f"{store}/{product}".encode()) % (grid_ms // 1000) * 1000


def may_come(stock: Stock, now_ms: int, rules: PlanningRules) -> bool:
    """Whether any order is open that has not expired."""
    since = now_ms - rules.patience_hours * HOUR_MS
    return any(order.ordered_ms >= since for order in stock.open_orders)


def is_short(stock: Stock) -> bool:
    """Whether goods are wanted, were they sold here."""
    return stock.count_ms >= 0 and max(stock.level, 0) <= stock.reorder_point


def on_back(stock: Stock, store: int, product: str, due_ms: int, since_ms: int) -> list[Action]:
    """The shelf is sold from again since ``since_ms``, has too little and nothing on order: it asks itself,
    for an empty one has no line that would make it ask. ``since_ms`` 0: it always was. Its id is made of
    that time, so what it asks again is asked once."""
    if not since_ms or not is_short(stock) or due_ms < stock.no_order_before_ms:
        return []
    if max(stock.level, 0) + stock.on_order > stock.reorder_point:
        return []
    at_ms = max(since_ms, stock.newest_ms, stock.no_order_before_ms)
    return asks_itself(stock, store, product, f"back-{since_ms}", at_ms, stock.low)


def on_order_wake(stock: Stock, store: int, product: str, ended: RangeOrder) -> list[Action]:
    """A shelf that nothing is sold on any more has goods on order, and may have no line again: it asks
    itself, as in `on_wake`, and tells the supply team when it hears that."""
    at_ms = max(ended.from_ms, stock.newest_ms)
    return asks_itself(stock, store, product, "ended", at_ms, emergency=False)
