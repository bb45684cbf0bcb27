"""The check of orders by hand: it follows the job through weeks of trade, and sees a wrong one."""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec
import pytest

from tillstream.check.stock_rules import Wanted, replay
from tillstream.conf import load
from tillstream.domain.notice import Notice
from tillstream.domain.stock.actions import CentralUpdate, Request
from tillstream.domain.stock.inventory import InventoryRules, on_line
from tillstream.domain.stock.ledger import DAY_MS, HOUR_MS, Line, Stock
from tillstream.domain.stock.network import Near, Neighbours

NOON = 1_764_072_000_000
NEAR = Neighbours((Near(9003, 40),), (Near(46, 3),))
CONF = load("local")


def trade(seed: int, a_day: float, zone: str = "UTC") -> tuple[list[dict], dict[str, int], Counter]:
    """The ledger of a shelf, what was ordered for it, and what was told."""
    chance = Random(seed)
    ledger: list[dict] = []
    orders: dict[str, int] = {}
    told: Counter = Counter()
    stock: Stock | None = None
    number = 0

    def line(kind: str, quantity: int, at_ms: int, order: str | None = None) -> None:
        nonlocal stock, number
        number += 1
        made = Line(kind, f"{kind} {number}", 45, "2000000000411", quantity, at_ms, order)
        stock, entry, actions = on_line(stock, made, NEAR, InventoryRules().at(zone))
        ledger.append(msgspec.to_builtins(entry))
        for action in actions:
            if isinstance(action.body, Request) and action.body.ask == "order":
                orders[action.body.order_id] = action.body.quantity
            elif isinstance(action.body, CentralUpdate):
                told[action.body.state] += 1
            elif isinstance(action.body, Notice):
                told[action.body.template] += 1

    line("count", round(5 * a_day), NOON)
    if seed % 2:
        line("plan", round(6 * a_day), NOON + 1)
    for day in range(50):
        at = float(NOON + day * DAY_MS)
        rate = a_day * (2 if day % 7 == 4 else 1) * chance.gammavariate(8, 1 / 8)
        if day % 19 == 5:
            continue
        while (at := at + chance.expovariate(rate) * 10 * HOUR_MS) < NOON + (day + 0.42) * DAY_MS:
            late = DAY_MS if chance.random() < 0.01 else 0
            kind, sign = ("sale", -1) if chance.random() < 0.95 else ("refund", 1)
            line(kind, sign * chance.choice((1, 1, 1, 4)), int(at) - late)
        for name, pieces in list(orders.items())[-2:]:
            if any(name == o.order_id for o in stock.open_orders) and chance.random() < 0.6:
                line("delivery", pieces, int(at), name if chance.random() < 0.8 else None)
    return ledger, orders, told


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("a_day", [0.7, 6, 50])
@pytest.mark.parametrize("zone", ["UTC", "Africa/Luanda", "Africa/Cairo", "Asia/Tokyo"])
def test_the_check_orders_what_the_job_ordered(seed, a_day, zone):
    ledger, orders, told = trade(seed, a_day, zone)
    wanted = check(ledger, zone)
    assert wanted.faults == []
    assert wanted.orders == orders
    assert orders or a_day < 1
    assert (wanted.lows, wanted.oks) == (told["low"], told["ok"])
    assert wanted.belows == told["stock_below_zero"]
    assert wanted.lows == told["low_stock"]


def check(ledger: list[dict], zone: str) -> Wanted:
    return replay(ledger, CONF.inventory, CONF.demand.half_life_days, zone, is_store=True)


def test_what_was_never_counted_is_known_by_its_days_and_alerts_nobody():
    ledger: list[dict] = []
    stock, told = None, []
    for n, (kind, quantity) in enumerate([("sale", -3), ("sale", -1), ("count", 9), ("sale", -2)]):
        made = Line(kind, f"{n}", 45, "2000000000411", quantity, NOON + n * DAY_MS)
        stock, entry, actions = on_line(stock, made, NEAR, InventoryRules())
        ledger.append(msgspec.to_builtins(entry))
        told += [action.body for action in actions]
    wanted = check(ledger, "UTC")
    assert (wanted.belows, wanted.faults) == (0, [])
    # The second day's shelf was counted before it was told.
    assert wanted.uncounted == {"2025-11-25"}
    assert [(news.kind, news.first) for news in told] == [
        ("sold", True), ("sold", True), ("counted", False),
    ]  # fmt: skip


def test_a_wrong_zone_is_seen():
    ledger, _, _ = trade(1, 50, "Asia/Tokyo")
    assert check(ledger, "UTC").faults


def test_a_wrong_reorder_point_is_seen():
    ledger, _, _ = trade(1, 50)
    ledger[-1]["reorder_point"] += 2
    assert "terms are" in check(ledger, "UTC").faults[0]
