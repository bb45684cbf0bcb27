"""When to order, how much, and what low stock sets going: pure rules, whole numbers throughout.

**Demand** of a product in a store: pieces a day, learnt by exponential smoothing, mean and variance by
the incremental formulas of T. Finch, "Incremental calculation of weighted mean and variance" (2009):

    a = 1 / min(days, learn_days);  d = units - mean
    mean += a d;  variance += a ((1 - a) d^2 - variance)

A day counts when the next one begins (UTC). A late sale counts in the day it arrives in. A day on
which the shelf was empty does not lower the mean, for what was not there could not be sold.

**Reorder point and order-up-to level**, continuous review with an (s, S) policy: E. Silver, D. Pyke,
D. Thomas, "Inventory and Production Management in Supply Chains", 4th ed. (2017), chapter 6; demand
over a lead time that varies itself has the variance L var(D) + D^2 var(L):

    s = D L + k sqrt(L V + D^2 var(L))
    S = D (L + R) + k sqrt((L + R) V + D^2 var(L))

with D the mean (times the uplift of a live promotion), V the variance, never below the mean (no
demand is steadier than Poisson's), L the lead time, R how long an order should last, k the safety
factor (1.645: 95 % of lead times pass without an empty shelf). Both are rounded up. A plan, if larger,
takes the place of S; before two days are learnt from, s is a quarter of the plan.

**An order** of S - (level + on order) goes out when level + on order is s or less. **Low stock** is a
level of ``emergency_percent`` of S or less: it ends above s and twice that level, so it does not flap.
"""

from __future__ import annotations

from math import isqrt

import msgspec

from tillstream.domain import promotion
from tillstream.domain.stock import DAY_MS, HOUR_MS, Demand, Line, Stock

MILLI = 1000
LONGEST_GAP_DAYS = 28


class PlanningRules(msgspec.Struct, frozen=True, gc=False):
    """The terms of ordering. Hours are of all days and nights.

    lead_hours: from an order to the shelf, sd lead_sd_hours; review_hours: how long an order should
    last; safety_milli: k in thousandths; emergency_percent: of the order-up-to level; learn_days:
    how far demand looks back; patience_hours: when an order not delivered is given up;
    retry_hours: when to ask again for what no centre had; handling_hours
    and speed_kmh: of an emergency truck.
    """

    lead_hours: int = 24
    lead_sd_hours: int = 6
    review_hours: int = 48
    safety_milli: int = 1645
    emergency_percent: int = 10
    learn_days: int = 14
    fewest_days: int = 2
    patience_hours: int = 96
    retry_hours: int = 6
    handling_hours: int = 4
    speed_kmh: int = 60


def learn(demand: Demand, line: Line, level: int, rules: PlanningRules) -> bool:
    """Counts a sale, refund or void towards its day, in place; True when a day was closed by it.

    ``level``: before the line; at 0 or less, days without sales say nothing.
    """
    day = line.event_time_ms // DAY_MS
    closed = False
    if demand.day < 0:
        demand.day = day
    elif day > demand.day:
        _close(demand, rules)
        if level > 0:
            for _ in range(min(day - demand.day - 1, LONGEST_GAP_DAYS)):
                _close(demand, rules)
        demand.day, closed = day, True
    demand.units -= line.quantity
    if level + line.quantity <= 0:
        demand.empty = True
    return closed


def _close(demand: Demand, rules: PlanningRules) -> None:
    units = max(demand.units, 0)
    if not (demand.empty and units * MILLI < demand.mean):
        demand.days += 1
        n = min(demand.days, rules.learn_days)
        away = units * MILLI - demand.mean
        demand.mean += away // n
        squared = away * away // MILLI
        demand.variance += (squared * (n - 1) // n - demand.variance) // n
    demand.units, demand.empty = 0, False


def set_terms(stock: Stock, at_ms: int, rules: PlanningRules) -> int:
    """Reorder point and order-up-to level as of ``at_ms``, in place; returns the uplift in per cent."""
    lead_ms = rules.lead_hours * HOUR_MS
    percent, stock.terms_until_ms = promotion.uplift(stock.promotions, at_ms, lead_ms)
    demand = stock.demand
    known = demand.days >= rules.fewest_days
    mean = demand.mean * percent // 100 if known else 0
    spread = max(demand.variance * percent * percent // 10_000, mean)
    reorder = _cover(mean, spread, rules.lead_hours, rules)
    stock.order_up_to = max(
        stock.plan * percent // 100,
        _cover(mean, spread, rules.lead_hours + rules.review_hours, rules),
    )
    if known and stock.order_up_to > 0:
        stock.reorder_point = min(reorder, stock.order_up_to - 1)
    else:
        stock.reorder_point = stock.order_up_to // 4 if stock.plan else -1
    return percent


def _cover(mean: int, variance: int, hours: int, rules: PlanningRules) -> int:
    """Pieces that last for ``hours`` of demand but for the chance that k leaves; 0 without demand."""
    lead_variance = (mean * rules.lead_sd_hours // 24) ** 2 // MILLI
    spread = isqrt((variance * hours // 24 + lead_variance) * MILLI)
    needed = mean * hours // 24 + rules.safety_milli * spread // MILLI
    return -(-needed // MILLI)


def low_level(stock: Stock, rules: PlanningRules) -> int:
    """At this level or less stock is low."""
    return stock.order_up_to * rules.emergency_percent // 100


def recovered_above(stock: Stock, rules: PlanningRules) -> int:
    """Above this level stock is low no longer."""
    return max(stock.reorder_point, 2 * low_level(stock, rules))


def run_out_ms(stock: Stock, percent: int) -> int | None:
    """When the level is used up if demand goes on as learnt; None while none is known."""
    daily = stock.demand.mean * percent // 100
    if daily <= 0:
        return None
    return stock.newest_ms + max(stock.level, 0) * DAY_MS * MILLI // daily


def give_up_old_orders(stock: Stock, at_ms: int, rules: PlanningRules) -> None:
    """An order that nobody delivered within the patience counts no longer."""
    since = at_ms - rules.patience_hours * HOUR_MS
    if stock.open_orders and stock.open_orders[0].ordered_ms < since:
        stock.open_orders = [order for order in stock.open_orders if order.ordered_ms >= since]


def delivered(stock: Stock, order_id: str, pieces: int) -> None:
    """Takes ``pieces`` off the open order, which is closed when nothing is left of it."""
    for order in stock.open_orders:
        if order.order_id == order_id:
            order.quantity -= pieces
    stock.open_orders = [order for order in stock.open_orders if order.quantity > 0]
