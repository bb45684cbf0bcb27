"""An item of the hot stock table, read and put into words."""

from __future__ import annotations

import re
from typing import Any

from tillstream.catalog.tables import STOCK
from tillstream.cli.times import minute
from tillstream.clients import aws as clients
from tillstream.clients import items
from tillstream.conf import Conf
from tillstream.errors import Problem

FIRST_CENTRE = 9001
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MILLI = 1000
NEVER = -1
# Goods with a code of the grocer's own can be on no count.
_can_be_counted = re.compile(r"[0-9]{8,14}|plu-[0-9]{1,5}").fullmatch


class NoSuchStock(Problem):
    """The product has not been seen in that store; the message says what to check."""


def read(conf: Conf, store: int, product: str) -> dict[str, Any]:
    """The item's attributes; numbers as int. Raises NoSuchStock, or botocore's errors."""
    client, table = clients.dynamodb(conf), conf.table(STOCK)
    item = items.get(client, table, store=str(store), product=product)
    if item is None:
        raise NoSuchStock(
            f"product {product} has not been seen in {place(store)} yet"
            " (is the inventory job running? `tillstream job list`)"
        )
    return item


def never_counted(conf: Conf, store: int) -> list[dict[str, Any]]:
    """Items of the store's shelves without a count, the best sellers first. Raises botocore's errors."""
    client, table = clients.dynamodb(conf), conf.table(STOCK)
    found = [
        item
        for item in items.query(client, table, "store", str(store))
        if item.get("counted_ms") == NEVER and _can_be_counted(item["product"])
    ]
    return sorted(found, key=lambda item: (-_sold(item), item["quantity"], item["product"]))


def sold_and_left(item: dict[str, Any]) -> tuple[str, str]:
    """What it sells a day, as far as that is known, and its level."""
    daily = _sold(item)
    return (f"{daily:,.1f}" if daily else "-"), f"{item['quantity']:,}"


def _sold(item: dict[str, Any]) -> float:
    """Pieces, or whole units of what is weighed, a day, before promotions."""
    return item["daily_demand_milli"] / MILLI / (1 if item.get("unit", "each") == "each" else MILLI)


def place(store: int) -> str:
    return f"centre {store}" if store >= FIRST_CENTRE else f"store {store}"


def describe(item: dict[str, Any], now_ms: int, patience_hours: int = 96) -> list[str]:
    """The item for people, line by line. Times are UTC. ``patience_hours``: after which orders expire."""
    level, daily = item["quantity"], item["daily_demand_milli"] * item["uplift_percent"] / 100_000
    lines = [
        f"{place(int(item['store']))}, product {item['product']}: {_amount(item, level)} left"
        f" as of {minute(item['event_time_ms'])} ({item['kind']} {item['entry_id']})"
    ]
    if item.get("counted_ms") == NEVER:
        lines.append("never counted: its level is a sum from nothing, please count")
    elif level < 0:
        lines.append("below zero: a count or delivery is wrong or missing, please count")
    lines.append(_run_out(item, daily, now_ms))
    lines.append(_terms(item))
    return lines + _on_order(item, now_ms - patience_hours * HOUR_MS)


def _on_order(item: dict[str, Any], since_ms: int) -> list[str]:
    """What was ordered before ``since_ms`` has expired, although no line has come since to say so."""
    lines, expired = [], []
    for order in item["open_orders"].split():
        name, pieces, ordered_ms = order.split(":")
        amount = _amount(item, int(pieces))
        if int(ordered_ms) < since_ms:
            expired.append(f"{amount} of order {name}")
        else:
            lines.append(f"on order: {amount}, order {name} of {minute(int(ordered_ms))}")
    gone = f" ({', '.join(expired)} have expired)" if expired else ""
    return lines or [f"on order: nothing{gone}"]


def _amount(item: dict[str, Any], units: float, of_a_day: bool = False) -> str:
    """Pieces, or what is weighed or measured in its own unit; without one where the shelf's last line did not
    say it, as documents never do."""
    unit = item.get("unit")
    if unit not in (None, "each"):
        units /= MILLI
        return (
            f"{units:,.1f} {unit}"
            if of_a_day
            else f"{units:,.3f}".rstrip("0").rstrip(".") + f" {unit}"
        )
    number = f"{units:,.1f}" if of_a_day else f"{units}"
    return number if unit is None else f"{number} pieces"


def _run_out(item: dict[str, Any], daily: float, now_ms: int) -> str:
    if "run_out_ms" not in item:
        return "runs out: not known, no full day of sales has been seen yet"
    promoted = item["uplift_percent"] - 100
    why = f"at {_amount(item, daily, of_a_day=True)} a day" + (
        f", including {promoted} % for a promotion" * bool(promoted)
    )
    ahead = (item["run_out_ms"] - now_ms) / DAY_MS
    when = f"in {ahead:.1f} days" if ahead > 0 else "already"
    return f"runs out: {minute(item['run_out_ms'])}, {when}, {why}"


def _terms(item: dict[str, Any]) -> str:
    point, fill = item["reorder_point"], item["order_up_to"]
    if int(item["store"]) >= FIRST_CENTRE:
        return "orders: a centre is filled by its suppliers"
    if point < 0:
        return "orders: none yet, too little is known about its demand and it has no plan"
    state = "low: an emergency order was sent" if item["low"] == "true" else "not low"
    at, up_to = _amount(item, point), _amount(item, fill)
    return f"orders: at {at} or less including what is on order, up to {up_to}; {state}"
