"""One product in one place, whatever happens to it: (stock, event) -> (stock, ledger entry, actions)."""

from __future__ import annotations

import msgspec

from tillstream.domain.demand.model import local
from tillstream.domain.promotions import promotion
from tillstream.domain.promotions.promotion import NO_UPLIFT, PromotionLine
from tillstream.domain.stock import replenishment, store_day
from tillstream.domain.stock.actions import (
    Action,
    CentralUpdate,
    Request,
    Why,
    ended_told,
    manager_told,
    miscount_told,
    not_open_told,
)
from tillstream.domain.stock.answers import allocated, offer
from tillstream.domain.stock.assortment import RangeOrder
from tillstream.domain.stock.ledger import (
    FIRST_CENTRE,
    HOUR_MS,
    UNKNOWN_MS,
    Entry,
    Line,
    Moved,
    OpenOrder,
    Stock,
    StockRules,
    mark,
    move,
)
from tillstream.domain.stock.network import Neighbours
from tillstream.domain.stock.replenishment import PlanningRules, low_level, recovered_above

TRADED = frozenset({"sale", "refund", "void"})
# What puts a level right that was below zero; goods that customers bring back do not.
MENDS = frozenset({"count", "correction", "delivery", "transfer_in"})
Outcome = tuple[Stock | None, Entry | None, list[Action]]


class InventoryRules(msgspec.Struct, frozen=True):
    """Everything that is decided by."""

    stock: StockRules = StockRules()
    planning: PlanningRules = PlanningRules()

    def at(self, zone: str) -> InventoryRules:
        """The same by the clocks of ``zone``."""
        planning = msgspec.structs.replace(self.planning, demand=self.planning.demand.at(zone))
        return msgspec.structs.replace(self, planning=planning)


def on_line(
    stock: Stock | None,
    line: Line,
    near: Neighbours,
    rules: InventoryRules,
    ended: RangeOrder | None = None,
) -> Outcome:
    """A sale, delivery, count or other line. A duplicate gives (None, None, []). ``ended``: the order by
    which nothing is sold here."""
    stock = stock or Stock()
    old, never_counted = stock.level, stock.count_ms < 0
    moved = move(stock, line, rules.stock)
    if moved is None:
        return None, None, []
    actions: list[Action] = []
    percent = NO_UPLIFT
    if moved.outcome != "too_late":
        stale = stock.newest_ms >= stock.terms_until_ms
        news: list[Action] = []
        if line.kind in TRADED:
            sold = stock.demand.hours[0]
            began = replenishment.learn(stock, line, old, rules.planning)
            stale |= began
            if never_counted and ended is None:
                news = store_day.sold(stock, line, began, sold)
        elif line.kind == "plan":
            stock.plan, stale = line.quantity, True
        elif line.kind == "delivery":
            news = _delivered(stock, line)
        replenishment.give_up_old_orders(stock, stock.newest_ms, rules.planning)
        percent = _terms(stock, stale, rules)
        mends = line.kind in MENDS
        actions = review(
            stock, line.store, line.product, near, percent, rules.planning, mends, ended
        )
        if never_counted and stock.count_ms >= 0:
            news = store_day.counted(stock, line)
        actions += news
    else:
        came_ms = stock.newest_ms if line.arrived_ms == UNKNOWN_MS else line.arrived_ms
        day, _ = local(came_ms, rules.planning.demand)
        actions = store_day.too_late(line, day)
    return stock, _entry(stock, line, moved, percent), actions


def _delivered(stock: Stock, line: Line) -> list[Action]:
    """Goods that came, taken off what is on order. One that is not open any more was delivered before, or has
    expired: the store hears of it, and no other order is touched. An order that was never this shelf's is no
    name: the goods are here, so they are taken off the oldest."""
    order_id = line.order_id
    if order_id is not None and replenishment.is_open(stock, order_id):
        replenishment.delivered(stock, order_id, line.quantity)
    elif order_id is not None and replenishment.was_ordered(
        stock, order_id, f"{line.store}-{line.product}"
    ):
        return [not_open_told(line, order_id)]
    else:
        replenishment.delivered_unnamed(stock, line.quantity, line.event_time_ms)
    return []


def on_promotion(
    stock: Stock | None,
    line: PromotionLine,
    near: Neighbours,
    rules: InventoryRules,
    ended: RangeOrder | None = None,
) -> Outcome:
    """A promotion for this product here; an older revision than the known one changes nothing."""
    stock = stock or Stock()
    known = promotion.take(stock.promotions, line.promotion, stock.newest_ms)
    if line.promotion not in known or line.promotion in stock.promotions:
        return None, None, []
    stock.promotions = known
    percent = _terms(stock, True, rules)
    actions = review(stock, line.store, line.product, near, percent, rules.planning, ended=ended)
    noted = Line("promotion", line.line_id, line.store, line.product, 0, line.event_time_ms)
    return stock, _entry(stock, noted, Moved("noted", stock.level, 0), percent), actions


def on_request(
    stock: Stock | None,
    request: Request,
    near: Neighbours,
    rules: InventoryRules,
    ended: RangeOrder | None = None,
) -> Outcome:
    """A question from elsewhere: an order to this centre, a query to this store, a refusal; or the
    shelf's own, to ask again."""
    stock = stock or Stock()
    # What is asked is asked now, however old the sale that led to it: no count knows of it yet.
    at_ms = max(request.event_time_ms, stock.newest_ms, stock.count_ms + 1)
    have = max(stock.level, 0)
    gave = min(have, request.quantity) if request.ask == "order" else 0
    kind = "allocation" if request.ask == "order" else request.ask
    arrived_ms = max(request.event_time_ms, stock.newest_ms)  # a count's clock may be ahead of both
    line = Line(
        kind, f"R:{request.request_id}", request.to, request.product, -gave, at_ms, None, arrived_ms
    )
    moved = move(stock, line, rules.stock)
    if moved is None:
        return None, None, []
    if request.ask == "order":
        actions = allocated(request, have, gave, rules.planning)
    elif request.ask == "query":
        actions = [offer(stock, request)]
    elif request.ask == "retry":
        percent = _terms(stock, stock.newest_ms >= stock.terms_until_ms, rules)
        actions = review(
            stock, request.to, request.product, near, percent, rules.planning, ended=ended
        )
        return stock, _entry(stock, line, moved, percent), actions
    else:
        replenishment.delivered(stock, request.order_id, request.quantity)
        stock.no_order_before_ms = at_ms + rules.planning.retry_hours * HOUR_MS
        actions = []
    percent = _terms(stock, False, rules)
    return stock, _entry(stock, line, moved, percent), actions


def review(
    stock: Stock,
    store: int,
    product: str,
    near: Neighbours,
    percent: int,
    rules: PlanningRules,
    mends: bool = False,
    ended: RangeOrder | None = None,
) -> list[Action]:
    """What the stock as it is now sets going; marks in ``stock`` that it has been done. ``mends``: by a
    line that can put a level right. ``ended``: the order by which nothing is sold here."""
    level, at_ms = stock.level, stock.newest_ms
    if ended is not None:
        return _ended(stock, store, product, ended)
    if level > stock.reorder_point and level >= 0 and not stock.low and not stock.below_zero:
        return []
    actions: list[Action] = []
    # What was never counted may be there or not: nothing is ordered on a guess, and its store hears of all
    # such shelves together (store_day.py).
    if stock.count_ms < 0:
        return actions
    if level < 0 and not stock.below_zero:
        stock.below_zero = True
        stock.belows += 1
        actions.append(miscount_told(store, product, stock, at_ms))
    elif level >= 0 and mends:
        stock.below_zero = False
    if stock.reorder_point < 0 or store >= FIRST_CENTRE:
        return actions
    if stock.low and level > recovered_above(stock, rules):
        stock.low = False
        actions.append(_central(stock, store, product, "ok", at_ms))
    starts = not stock.low and level <= low_level(stock, rules)
    replenishment.give_up_old_orders(stock, at_ms, rules)
    position = max(level, 0) + stock.on_order
    quantity, formula = stock.order_up_to - position, "order_up_to - level - on_order"
    if starts:
        # What is on order comes too late: at the least, ask for what lasts until it is there.
        quantity = max(quantity, stock.reorder_point - max(level, 0))
        formula = f"max({formula}, reorder_point - level)"
    wanted = starts or position <= stock.reorder_point
    if wanted and quantity > 0 and near.centres and at_ms >= stock.no_order_before_ms:
        # Low stock whose order nobody could fill, or nobody brought, is as urgent the second time.
        emergency = starts or stock.low
        why = _why(stock, percent, formula)
        actions.append(_order(stock, store, product, quantity, emergency, near, why))
    if starts:
        stock.low = True
        stock.lows += 1
        cause = f"{store}-{product}-low-{stock.lows}"
        actions.append(manager_told(store, product, stock, cause, at_ms))
        actions.append(_central(stock, store, product, "low", at_ms))
        for place in near.stores:
            actions.append(_query(stock, store, product, place.number, place.km, cause))
    return actions


def _ended(stock: Stock, store: int, product: str, by: RangeOrder) -> list[Action]:
    """Nothing is ordered or alerted. What is on its way is told to the supply team, once, and is not waited
    for. Should the shelf be sold from again, it begins without an open alert."""
    actions = [ended_told(store, product, order, by) for order in stock.open_orders]
    stock.open_orders = []
    stock.low = stock.below_zero = False
    return actions


def _terms(stock: Stock, stale: bool, rules: InventoryRules) -> int:
    if stale:
        return replenishment.set_terms(stock, stock.newest_ms, rules.planning)
    if not stock.promotions:
        return NO_UPLIFT
    lead_ms = rules.planning.lead_hours * HOUR_MS
    return promotion.uplift(stock.promotions, stock.newest_ms, lead_ms)[0]


def _why(stock: Stock, percent: int, formula: str) -> Why:
    return Why(
        stock.level, stock.on_order, stock.reorder_point, stock.order_up_to, stock.plan,
        stock.daily_milli, percent, replenishment.days_learnt(stock.demand), formula,
    )  # fmt: skip


def _order(
    stock: Stock,
    store: int,
    product: str,
    quantity: int,
    emergency: bool,
    near: Neighbours,
    why: Why,
) -> Action:
    stock.orders += 1
    order_id = f"{store}-{product}-{stock.orders:06d}"
    stock.open_orders.append(OpenOrder(order_id, quantity, stock.newest_ms))
    first, *others = near.centres
    request = Request(
        request_id=f"{order_id}@{first.number}",
        ask="order",
        to=first.number,
        asked_by=store,
        product=product,
        order_id=order_id,
        quantity=quantity,
        event_time_ms=stock.newest_ms,
        emergency=emergency,
        km=first.km,
        centres=tuple((other.number, other.km) for other in others),
        why=why,
    )
    return Action("requests", request.request_id, request)


def _query(stock: Stock, store: int, product: str, other: int, km: int, cause: str) -> Action:
    request = Request(
        request_id=f"{cause}-to-{other}",
        ask="query",
        to=other,
        asked_by=store,
        product=product,
        order_id="",
        quantity=max(stock.order_up_to - max(stock.level, 0), 0),
        event_time_ms=stock.newest_ms,
        emergency=True,
        km=km,
    )
    return Action("requests", request.request_id, request)


def _central(stock: Stock, store: int, product: str, state: str, at_ms: int) -> Action:
    update = CentralUpdate(
        f"{store}-{product}-{state}-{stock.lows}",
        store, product, state, stock.level, stock.order_up_to, at_ms,
    )  # fmt: skip
    return Action("central", update.update_id, update)


def _entry(stock: Stock, line: Line, moved: Moved, percent: int) -> Entry:
    stock.version += 1
    level, version = stock.level, stock.version
    store, product = line.store, line.product
    orders = stock.open_orders
    return Entry(
        line.line_id,
        f"{store}/{product}",
        store,
        product,
        version,
        line.kind,
        moved.outcome,
        line.quantity,
        level - moved.old_level,
        moved.old_level,
        level,
        line.event_time_ms,
        moved.behind_ms,
        level < 0,
        stock.low,
        stock.reorder_point,
        stock.order_up_to,
        stock.on_order if orders else 0,
        stock.daily_milli,
        percent,
        replenishment.run_out_ms(stock, percent),
        " ".join([f"{o.order_id}:{o.quantity}:{o.ordered_ms}" for o in orders]) if orders else "",
        mark(version, level),
        line.unit,
        stock.count_ms,
    )
