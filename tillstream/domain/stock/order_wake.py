"""The timer of a shelf that may have no line again: it has open orders, or nothing and is not sold from."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

from tillstream.domain.stock import replenishment
from tillstream.domain.stock.actions import Action, asks_itself
from tillstream.domain.stock.assortment import Range, RangeOrder
from tillstream.domain.stock.ledger import HOUR_MS, Stock
from tillstream.domain.stock.replenishment import PlanningRules


class Seen(NamedTuple):
    """Why a shelf's timer is seen to: it is ``due_ms`` by the wall clock, or None after an entry, before
    which the shelf's newest line was of ``before_ms``. ordered: it has ordered by that entry."""

    due_ms: int | None = None
    before_ms: int = 0
    ordered: bool = False


def see_to_timer(
    stock: Stock,
    store: int,
    product: str,
    seen: Seen,
    now_ms: int,
    orders: Range,
    rules: PlanningRules,
) -> tuple[list[Action], int | None]:
    """What a shelf does now, and when to see to it again, None for not at all. A shelf that waits for what it
    has ordered has a timer, and so has one that has too little and is not sold from, for it may be again;
    neither need have a line. ``orders``: about the assortment; ``now_ms``: by the wall clock."""
    actions: list[Action] = []
    if seen.due_ms is None:
        waits = seen.ordered or (
            bool(stock.open_orders) and enters(seen.before_ms, stock.newest_ms, rules)
        )
        if not waits and is_short(stock):
            waits = orders.ended(store, product, stock.newest_ms) is not None
    else:
        at_ms = max(min(seen.due_ms, now_ms), stock.newest_ms)
        ended = orders.ended(store, product, at_ms)
        is_order = is_order_wake(seen.due_ms)
        if ended is not None:
            if is_order and stock.open_orders:
                actions += on_order_wake(stock, store, product, ended)
            waits = is_short(stock)
        else:
            held = bool(stock.no_order_before_ms)
            if not is_order or (held and not on_grid(seen.due_ms, store, product, rules)):
                actions += on_wake(stock, store, product, seen.due_ms, rules)
            if is_order:
                since_ms = orders.since_ms(store, product, at_ms)
                actions += on_back(stock, store, product, seen.due_ms, since_ms)
            waits = is_order and may_come(stock, now_ms, rules)
    wake_at = order_wake_ms(max(now_ms, seen.due_ms or 0), store, product, rules)
    return actions, wake_at if waits else None


def on_wake(
    stock: Stock, store: int, product: str, due_ms: int, rules: PlanningRules
) -> list[Action]:
    """It is ``due_ms`` by the wall clock, set when nobody had what this shelf needs: it is to ask again,
    for a shelf that is empty sells nothing that would make it ask. Not where goods have come, where a later
    answer says to wait longer, or for a product that has left the range.

    What comes of the wall clock changes no state: it goes out as a request of the shelf to itself, which
    a replay reads in its place. Its event time is when the hold ends, never ahead of that."""
    at_ms = stock.no_order_before_ms
    if stock.level > stock.reorder_point or due_ms < at_ms:
        return []
    if replenishment.left(stock, at_ms, rules):
        return []
    return asks_itself(stock, store, product, "retry", at_ms, stock.low)


def wake_ms(stock: Stock, now_ms: int, rules: PlanningRules) -> int:
    """When to wake a shelf that nobody had anything for, by the wall clock. In a replay, whose events are
    long past, not before they have had time to come."""
    at_ms = max(stock.no_order_before_ms, now_ms + rules.retry_hours * HOUR_MS)
    return at_ms + is_order_wake(at_ms)


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
