"""The timer of an open order: a shelf that nothing is sold on any more may have no line again."""

from __future__ import annotations

from tillstream.domain.stock.actions import Action, Request
from tillstream.domain.stock.assortment import RangeOrder
from tillstream.domain.stock.ledger import HOUR_MS, Stock
from tillstream.domain.stock.replenishment import PlanningRules


def order_wake_ms(now_ms: int, rules: PlanningRules) -> int:
    """When to see whether what was ordered is still wanted: at the last ms of a second, as no other timer."""
    at_ms = now_ms + rules.retry_hours * HOUR_MS
    return at_ms - at_ms % 1000 + 999


def is_order_wake(at_ms: int) -> bool:
    return at_ms % 1000 == 999


def on_order_wake(stock: Stock, store: int, product: str, ended: RangeOrder) -> list[Action]:
    """A shelf that nothing is sold on any more has goods on order, and may have no line again: it asks
    itself, as in `on_wake`, and tells the supply team when it hears that."""
    request = Request(
        request_id=f"{store}-{product}-{stock.orders:06d}-ended",
        ask="retry",
        to=store,
        asked_by=store,
        product=product,
        order_id="",
        quantity=0,
        event_time_ms=max(ended.from_ms, stock.newest_ms),
        emergency=False,
    )
    return [Action("requests", request.request_id, request)]
