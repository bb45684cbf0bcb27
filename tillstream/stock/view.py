"""An item of the hot stock table, read and put into words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tillstream.catalog import tables
from tillstream.clients import aws as clients
from tillstream.conf import Conf
from tillstream.errors import Problem

FIRST_CENTRE = 9001
DAY_MS = 86_400_000


class NoSuchStock(Problem):
    """Nothing is known of the product in that store, or the table does not answer."""


def read(conf: Conf, store: int, product: str) -> dict[str, Any]:
    """The item's attributes; numbers as int. Raises NoSuchStock, one line that names the fix."""
    table = conf.table(tables.STOCK)
    try:
        answer = clients.dynamodb(conf).get_item(
            TableName=table,
            Key={"store": {"S": str(store)}, "product": {"S": product}},
            ConsistentRead=True,
        )
    except (ClientError, BotoCoreError) as error:
        raise NoSuchStock(
            f"DynamoDB table {table} does not answer ({error}): run `tillstream status`"
        ) from None
    if "Item" not in answer:
        raise NoSuchStock(
            f"nothing is known of product {product} in {place(store)}: no line of it was seen yet"
            " (is the inventory job running? `tillstream job list`)"
        )
    return {
        name: int(value["N"]) if "N" in value else value["S"]
        for name, value in answer["Item"].items()
    }


def place(store: int) -> str:
    return f"centre {store}" if store >= FIRST_CENTRE else f"store {store}"


def describe(item: dict[str, Any], now_ms: int) -> list[str]:
    """What the item says, for people, line by line. Times are UTC."""
    level, daily = item["quantity"], item["daily_demand_milli"] * item["uplift_percent"] / 100_000
    lines = [
        f"{place(int(item['store']))}, product {item['product']}: {level} left"
        f" as of {_time(item['event_time_ms'])} ({item['kind']} {item['entry_id']})"
    ]
    if level < 0:
        lines.append("fewer than none: a count or delivery is wrong or missing, please count")
    lines.append(_run_out(item, daily, now_ms))
    lines.append(_terms(item))
    orders = [order.split(":") for order in item["open_orders"].split()]
    for name, pieces, ordered_ms in orders:
        lines.append(f"on order: {pieces} pieces, order {name} of {_time(int(ordered_ms))}")
    if not orders:
        lines.append("on order: nothing")
    return lines


def _run_out(item: dict[str, Any], daily: float, now_ms: int) -> str:
    if "run_out_ms" not in item:
        return "runs out: not known, no whole day of sales has been seen yet"
    promoted = item["uplift_percent"] - 100
    why = f"at {daily:.1f} pieces a day" + (f", a promotion's {promoted} % in it" * bool(promoted))
    ahead = (item["run_out_ms"] - now_ms) / DAY_MS
    when = f"in {ahead:.1f} days" if ahead > 0 else "by now"
    return f"runs out: {_time(item['run_out_ms'])}, {when}, {why}"


def _terms(item: dict[str, Any]) -> str:
    point, fill = item["reorder_point"], item["order_up_to"]
    if int(item["store"]) >= FIRST_CENTRE:
        return "orders: a centre is filled by its suppliers"
    if point < 0:
        return "orders: none yet, too little is known of its demand and it has no plan"
    state = "low: an emergency order has gone out" if item["low"] == "true" else "not low"
    return f"orders: at {point} or less with what is on order, up to {fill}; {state}"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
