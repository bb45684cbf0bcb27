"""Recomputes every stock level from what was sent, every decision from the ledger, and compares."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow.compute as pc

from tillstream.catalog import tables, topics
from tillstream.check.platform import Platform
from tillstream.check.report import Report, until_equal
from tillstream.check.sent import shape
from tillstream.check.stock_rules import Wanted, replay
from tillstream.check.stock_sent import Key, StockTruth, level, read_stock_truth
from tillstream.conf import Conf

FIRST_CENTRE = 9001
ACTIONS = (
    *("stock_requests", "stock_orders", "truck_routes", "transfer_offers", "central_stock"),
    "notices",
)
NOTICES = {"low_stock", "stock_below_zero", "order_unfilled"}  # the inventory job's own
REPEATED = "repeats of other jobs' notices"
COLUMNS = [
    *("store", "product", "version", "entry_id", "kind", "outcome", "quantity", "moved"),
    *("old_quantity", "new_quantity", "event_time_ms", "low", "reorder_point", "order_up_to"),
    *("uplift_percent", "open_orders"),
]


def check_stock(
    truth_dir: Path, conf: Conf, *, wait_seconds: float = 0.0, decisions: bool = True
) -> Report:
    """Compares as ``until_equal`` does.

    ``decisions``: orders and alerts too, by the terms in ``conf``; not for a job whose terms changed.
    Raises NoTruth or Unreachable, each with the fix.
    """
    truth, held = read_stock_truth(truth_dir), Platform(conf)
    return until_equal(
        lambda report: _compare(truth, held, conf, report, decisions), truth.sent, wait_seconds
    )


def _compare(
    truth: StockTruth, held: Platform, conf: Conf, report: Report, decisions: bool
) -> None:
    sent = {name: _bodies(held, name) for name in ("stock_requests", "stock_orders")}
    given: dict[Key, int] = defaultdict(int)
    for order in sent["stock_orders"]:
        given[order["centre"], order["product"]] += order["quantity"]
    hot = held.stock()
    want: Counter[str] = Counter()
    found: Counter[str] = Counter()
    decided: dict[Key, Wanted] = {}
    seen: set[Key] = set()
    for key, rows in _by_key(held, report):
        seen.add(key)
        moves = truth.lines.get(key, {})
        final = level(list(moves.values())) - (given[key] if key[0] >= FIRST_CENTRE else 0)
        _chain(key, rows, set(moves), report)
        want["levels (ledger)"] += final
        found["levels (ledger)"] += rows[-1]["new_quantity"]
        _level(key, "ledger", rows[-1]["new_quantity"], final, report)
        at, version = hot.get(key, (None, 0))
        _level(key, "hot table", at, final, report)
        if version != len(rows):
            report.differ("hot table", f"{key}", f"version {version}, the ledger has {len(rows)}")
        want["levels (hot)"] += final
        found["levels (hot)"] += at or 0
        want["lines"] += len(moves)
        # A line repeated too late to be recognised is in the ledger twice, without effect.
        found["lines"] += len({row["entry_id"] for row in rows} & moves.keys())
        if not decisions:
            continue
        decided[key] = replay(rows, conf.inventory, conf.demand, key[0] < FIRST_CENTRE)
        for fault in decided[key].faults[:1]:
            report.differ("decisions", f"{key}", fault)
    for key in sorted(truth.lines.keys() - seen):
        report.differ("ledger", f"{key}", "no entry")
    # Centres, and stores that were only asked, have entries without a line.
    want["products in stores"] = len(truth.lines)
    found["products in stores"] = len(seen & truth.lines.keys())
    if decisions:
        _actions(decided, sent, held, want, found, report)
    _once(held, report)
    _dead_letters(truth, held, want, found)
    for name in want:
        report.totals[name] = want[name], found[name]


def _level(key: Key, where: str, found: int | None, wanted: int, report: Report) -> None:
    if found != wanted:
        report.differ(where, f"{key}", f"level {found}, must be {wanted}")


def _by_key(held: Platform, report: Report) -> Iterator[tuple[Key, list[dict[str, Any]]]]:
    """The ledger's rows of each store and product, by version."""
    table = held.parquet(tables.STOCK_LEDGER, COLUMNS)
    keys = [(name, "ascending") for name in ("store", "product", "version")]
    table = table.take(pc.sort_indices(table, sort_keys=keys))
    rows: list[dict[str, Any]] = []
    for batch in table.to_batches(max_chunksize=20_000):
        for row in batch.to_pylist():
            if rows and (rows[0]["store"], rows[0]["product"]) != (row["store"], row["product"]):
                yield (rows[0]["store"], rows[0]["product"]), rows
                rows = []
            rows.append(row)
    if rows:
        yield (rows[0]["store"], rows[0]["product"]), rows


def _chain(key: Key, rows: list[dict[str, Any]], lines: set[str], report: Report) -> None:
    """Versions without gap, each old level the new one before it, each line once and sent."""
    before, ids = 0, Counter(row["entry_id"] for row in rows if row["outcome"] != "too_late")
    for place, row in enumerate(rows, start=1):
        if row["version"] != place or row["old_quantity"] != before:
            what = f"version {row['version']} at place {place}, from {row['old_quantity']}"
            report.differ("ledger", f"{key}", f"{what}, must be from {before}")
            return
        before = row["new_quantity"]
    twice = [name for name, count in ids.items() if count > 1]
    if twice:
        report.differ("ledger", f"{key}", f"{twice[0]} appears {ids[twice[0]]} times")
    for name in ids:
        if name not in lines and name[:2] not in ("R:", "P:"):
            report.differ("ledger", f"{key}", f"{name} was never sent")


def _actions(
    decided: dict[Key, Wanted],
    sent: dict[str, list[dict[str, Any]]],
    held: Platform,
    want: Counter[str],
    found: Counter[str],
    report: Report,
) -> None:
    """Each decision once: orders to centres and their answers, alerts, updates, queries, offers."""
    asked: dict[str, int] = {}
    refused: Counter[str] = Counter()
    granted: Counter[str] = Counter()
    queries = 0
    for request in sent["stock_requests"]:
        if request["ask"] == "order":
            # the first centre is asked for all, each later one for what is missing
            asked[request["order_id"]] = max(asked.get(request["order_id"], 0), request["quantity"])
        elif request["ask"] == "refusal":
            refused[request["order_id"]] += request["quantity"]
        elif request["ask"] == "query":
            queries += 1
    for order in sent["stock_orders"]:
        granted[order["order_id"]] += order["quantity"]
    ordered = {name: n for wanted in decided.values() for name, n in wanted.orders.items()}
    for name in sorted(ordered.keys() | asked.keys()):
        if ordered.get(name) != asked.get(name):
            report.differ("orders", name, f"{asked.get(name)} asked, must be {ordered.get(name)}")
        elif granted[name] + refused[name] != ordered[name]:
            answer = f"{granted[name]} given and {refused[name]} refused"
            report.differ("orders", name, f"{answer} of {ordered[name]}")
    want["orders"], found["orders"] = len(ordered), len(asked)
    want["pieces ordered"] = sum(ordered.values())
    found["pieces ordered"] = granted.total() + refused.total()
    want["truck routes"] = sum(order["emergency"] for order in sent["stock_orders"])
    found["truck routes"] = len(_bodies(held, "truck_routes"))
    want["offers"], found["offers"] = queries, len(_bodies(held, "transfer_offers"))
    lows = sum(wanted.lows for wanted in decided.values())
    oks = sum(wanted.oks for wanted in decided.values())
    want["central updates"] = lows + oks
    found["central updates"] = len(_bodies(held, "central_stock"))
    notices = Counter(body["template"] for body in _bodies(held, "notices"))
    want["alerts of low stock"], found["alerts of low stock"] = lows, notices["low_stock"]
    want["alerts of miscounts"] = sum(wanted.belows for wanted in decided.values())
    found["alerts of miscounts"] = notices["stock_below_zero"]
    want["alerts of unfilled orders"] = len(refused)
    found["alerts of unfilled orders"] = notices["order_unfilled"]


def _once(held: Platform, report: Report) -> None:
    """No action was sent twice. Other jobs write notices at least once: the same one again is no fault."""
    for name in ACTIONS:
        bodies: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for body in _bodies(held, name):
            bodies[_id(body)].append(body)
        for identity, (first, *again) in bodies.items():
            if any(body != first for body in again):
                report.differ(name, identity, "sent again with other content")
            elif again and name == "notices" and first["template"] not in NOTICES:
                report.others[REPEATED] = report.others.get(REPEATED, 0) + len(again)
            elif again:
                report.differ(name, identity, f"sent {1 + len(again)} times")


def _id(body: dict[str, Any]) -> str:
    names = ("request_id", "line_id", "route_id", "offer_id", "update_id", "notice_id")
    return next(body[name] for name in names if name in body)


def _bodies(held: Platform, topic: str) -> list[dict[str, Any]]:
    return [
        orjson.loads(message.value() or b"{}") for message in held.messages(topics.BY_ID[topic])
    ]


def _dead_letters(
    truth: StockTruth, held: Platform, want: Counter[str], found: Counter[str]
) -> None:
    waiting = truth.malformed.copy()
    want["dead letters"] = waiting.total()
    for _, raw in held.dead_letters().values():
        if waiting[shape(raw)] > 0:
            waiting[shape(raw)] -= 1
            found["dead letters"] += 1
