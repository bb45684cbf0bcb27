"""When to order, how much, and what low stock sets going: pure rules, whole numbers throughout.

**Demand** of a product in a store is that of demand.py, by the day.

**Reorder point and order-up-to level**, continuous review with an (s, S) policy: E. Silver, D. Pyke,
D. Thomas, "Inventory and Production Management in Supply Chains", 4th ed. (2017), chapter 6; demand
over a lead time that varies itself has the variance L var(D) + D^2 var(L):

    s = D L + k sqrt(L V + D^2 var(L))
    S = D (L + R) + k sqrt((L + R) V + D^2 var(L))

with D and V mean and variance of a day's units (forecast.py ``of_a_day``: the busiest days that the
time could cover, for Saturday's bread is ordered on Friday), promotions of then included, L the lead
time, R how long an order should last, k the safety factor (1.645: 95 % of lead times pass without an
empty shelf). Both are rounded up. A plan, if larger, takes the place of S; before two days are learnt
from, s is a quarter of the plan.

**An order** of S - (level + on order) goes out when level + on order is s or less. **Low stock** is a
level of ``emergency_percent`` of S or less: it ends above s and twice that level, so it does not flap.
"""

from __future__ import annotations

from math import ceil, sqrt

import msgspec

from tillstream.domain.demand import model as dm
from tillstream.domain.demand.forecast import Forecast, of_a_day
from tillstream.domain.demand.model import Demand, DemandRules
from tillstream.domain.promotions import promotion
from tillstream.domain.stock.ledger import BY_THE_DAY, DAY_MS, HOUR_MS, Line, Stock

MILLI = 1000
FORGET_DAYS = 28
FOREVER_MS = 2**62  # what columns and tables can hold


class PlanningRules(msgspec.Struct, frozen=True, gc=False):
    """The terms of ordering. Hours are of all days and nights.

    lead_hours: from an order to the shelf, sd lead_sd_hours; review_hours: how long an order should
    last; safety_milli: k in thousandths; emergency_percent: of the order-up-to level; fewest_days:
    to learn from before demand is believed; patience_hours: when an order not delivered is given up;
    retry_hours: when to ask again for what no centre had; handling_hours
    and speed_kmh: of an emergency truck.
    """

    lead_hours: int = 24
    lead_sd_hours: int = 6
    review_hours: int = 48
    safety_milli: int = 1645
    emergency_percent: int = 10
    fewest_days: int = 2
    patience_hours: int = 96
    retry_hours: int = 6
    handling_hours: int = 4
    speed_kmh: int = 60
    demand: DemandRules = BY_THE_DAY


def learn(stock: Stock, line: Line, level: int, rules: PlanningRules) -> bool:
    """Counts a sale, refund or void towards its day, in place; True when a day was begun by it.

    ``level``: before the line; at 0 or less, days without sales say nothing.
    """
    day = stock.demand.day
    demand = dm.observe(
        stock.demand, line.event_time_ms, -line.quantity, rules.demand, empty=level <= 0
    )
    if level + line.quantity <= 0:
        demand.absent = dm.ALL_DAY
    stock.demand = demand
    return demand.day != day


def set_terms(stock: Stock, at_ms: int, rules: PlanningRules) -> int:
    """Reorder point and order-up-to level as of ``at_ms``, in place; returns the uplift in per cent.

    It is the one of a lead time ahead; what the day teaches is judged by the one of now.
    """
    lead, whole = rules.lead_hours, rules.lead_hours + rules.review_hours
    percent, until_ms = promotion.uplift(stock.promotions, at_ms, lead * HOUR_MS)
    now_percent, now_until_ms = promotion.uplift(stock.promotions, at_ms, 0)
    stock.terms_until_ms = min(until_ms, now_until_ms)
    demand, uplift = stock.demand, percent / 100
    dm.set_uplift(demand, at_ms, now_percent / 100, rules.demand)
    reorder = up_to = stock.daily_milli = 0
    known = days_learnt(demand) >= rules.fewest_days
    if known:
        near = of_a_day(demand, _days(lead), uplift, rules.demand)
        far = of_a_day(demand, _days(whole), uplift, rules.demand)
        reorder, up_to = _cover(near, lead, rules), _cover(far, whole, rules)
        stock.daily_milli = round(far.mean / uplift * MILLI)
    stock.order_up_to = max(stock.plan * percent // 100, up_to)
    if known and stock.order_up_to > 0:
        stock.reorder_point = min(reorder, stock.order_up_to - 1)
    else:
        stock.reorder_point = stock.order_up_to // 4 if stock.plan else -1
    return percent


def days_learnt(demand: Demand) -> int:
    """As they still count."""
    return round(demand.days_known)


def left(stock: Stock, at_ms: int, rules: PlanningRules) -> bool:
    """Neither sold nor counted for so long that the product has left the range."""
    day, _ = dm.local(at_ms, rules.demand)
    counted, _ = dm.local(stock.count_ms, rules.demand)
    return day - max(stock.demand.day, counted) > FORGET_DAYS


def _days(hours: int) -> int:
    return min(max(-(-hours // 24), 1), 28)


def _cover(day: Forecast, hours: int, rules: PlanningRules) -> int:
    """Pieces that last for ``hours`` of such days but for the chance that k leaves."""
    mean, variance = day
    spread = variance * hours / 24 + (mean * rules.lead_sd_hours / 24) ** 2
    return ceil(mean * hours / 24 + rules.safety_milli / MILLI * sqrt(spread) - 1e-6)


def low_level(stock: Stock, rules: PlanningRules) -> int:
    """At this level or less stock is low."""
    return stock.order_up_to * rules.emergency_percent // 100


def recovered_above(stock: Stock, rules: PlanningRules) -> int:
    """Above this level stock is low no longer."""
    return max(stock.reorder_point, 2 * low_level(stock, rules))


def run_out_ms(stock: Stock, percent: int) -> int | None:
    """When the level is used up if demand goes on as learnt; None while none is known."""
    daily = stock.daily_milli * percent // 100
    if daily <= 0:
        return None
    return min(stock.newest_ms + max(stock.level, 0) * DAY_MS * MILLI // daily, FOREVER_MS)


def give_up_old_orders(stock: Stock, at_ms: int, rules: PlanningRules) -> None:
    """An order that nobody delivered within the patience, or not all of it, expires."""
    since = at_ms - rules.patience_hours * HOUR_MS
    if stock.open_orders and stock.open_orders[0].ordered_ms < since:
        stock.open_orders = [order for order in stock.open_orders if order.ordered_ms >= since]


def delivered(stock: Stock, order_id: str, pieces: int) -> None:
    """Takes ``pieces`` off the open order, which is closed when nothing is left of it."""
    for order in stock.open_orders:
        if order.order_id == order_id:
            order.quantity -= pieces
    stock.open_orders = [order for order in stock.open_orders if order.quantity > 0]


def is_open(stock: Stock, order_id: str) -> bool:
    return any([order.order_id == order_id for order in stock.open_orders])


def was_ordered(stock: Stock, order_id: str, shelf: str) -> bool:
    """Whether this shelf has given that id to an order. ``shelf``: ``<store>-<product>``."""
    of, _, number = order_id.rpartition("-")
    return of == shelf and number.isdecimal() and 1 <= int(number) <= stock.orders


def delivered_unnamed(stock: Stock, pieces: int, at_ms: int) -> None:
    """Goods that came at ``at_ms`` and name no order of this shelf: taken off the orders placed by then, the
    oldest first, each up to its quantity."""
    for order in stock.open_orders:
        if order.ordered_ms <= at_ms:
            taken = min(order.quantity, pieces)
            order.quantity -= taken
            pieces -= taken
    stock.open_orders = [order for order in stock.open_orders if order.quantity > 0]
