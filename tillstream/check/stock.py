"""Recomputes every stock level from what was sent, every decision from the ledger, and compares."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from tillstream.catalog import tables, topics
from tillstream.check.platform import Platform, Says, grouped, says
from tillstream.check.report import Report, until_equal
from tillstream.check.sent import shape
from tillstream.check.stock_rules import Wanted, replay
from tillstream.check.stock_sent import Key, StockTruth, level, read_bundles, read_stock_truth
from tillstream.conf import PACKAGE, PACKAGED, Conf, ConfError

FIRST_CENTRE = 9001
ACTIONS = (
    *("stock_requests", "stock_orders", "truck_routes", "transfer_offers", "central_stock"),
    "stock_notices",
)
# What is taken of each. A record that says less is somebody else's: no job takes it for an action.
_TAKEN: dict[str, Says] = {
    "stock_requests": {"request_id": str, "ask": str, "order_id": str, "quantity": int},
    "stock_orders": {"line_id": str, "order_id": str, "centre": int, "product": str, "quantity": int,
                     "emergency": bool},
    "truck_routes": {"route_id": str},
    "transfer_offers": {"offer_id": str},
    "central_stock": {"update_id": str},
    "stock_notices": {"notice_id": str, "template": str, "recipient": str, "cause": str, "params": dict},
}  # fmt: skip
_TOLD: dict[str, Says] = {  # by template, of params
    "transfer_differs": {
        "reference": str,
        "product": str,
        "sent": int,
        "received": int,
        "missing": int,
    },
    "never_counted": {"day": str, "shelves": int, "products": str},
}
_A_RANGE_ORDER: Says = {"assortment_id": str, "action": str, "from_ms": int}
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
    table = conf.reference.bundles
    bundles = None if table is None else read_bundles(_file(table, "bundles"))
    truth = read_stock_truth(truth_dir, conf.intake.kinds, conf.intake.scales, bundles)
    held = Platform(conf)
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
    hot, places, orders = held.stock(), _places(conf), _range_orders(held)
    decided: dict[Key, Wanted] = {}
    seen: set[Key] = set()
    late: set[str] = set()
    for key, rows in grouped(held.parquet(tables.STOCK_LEDGER, COLUMNS), "store", "product"):
        seen.add(key)
        moves = truth.lines.get(key, {})
        final = level(list(moves.values())) - (given[key] if key[0] >= FIRST_CENTRE else 0)
        _chain(key, rows, set(moves), report)
        late |= {
            f"{key[0]}:{row['entry_id'][2:].rpartition('/')[0]}"
            for row in rows
            if row["outcome"] == "too_late" and row["entry_id"].startswith("M:")
        }
        report.add("levels (ledger)", final, rows[-1]["new_quantity"])
        _level(key, "ledger", rows[-1]["new_quantity"], final, report)
        at, version = hot.get(key, (None, 0))
        _level(key, "hot table", at, final, report)
        if version != len(rows):
            report.differ("hot table", f"{key}", f"version {version}, the ledger has {len(rows)}")
        report.add("levels (hot)", final, at or 0)
        # A line repeated too late to be recognised is in the ledger twice, without effect.
        report.add("lines", len(moves), len({row["entry_id"] for row in rows} & moves.keys()))
        if not decisions:
            continue
        zone, country = places.get(key[0], ("UTC", ""))
        traded = partial(_is_traded, _about(orders, key[0], key[1], country))
        decided[key] = replay(
            rows, conf.inventory, conf.demand.half_life_days, zone, key[0] < FIRST_CENTRE,
            traded,
        )  # fmt: skip
        for fault in decided[key].faults[:1]:
            report.differ("decisions", f"{key}", fault)
    for key in sorted(truth.lines.keys() - seen):
        report.differ("ledger", f"{key}", "no entry")
    # Centres, and stores that were only asked, have entries without a line.
    report.add("products in stores", len(truth.lines), len(seen & truth.lines.keys()))
    if decisions:
        _actions(decided, sent, held, report)
        _too_late(late, held, report)
        _transfers(truth, held, report)
    _once(held, report)
    _dead_letters(truth, held, report)


def _range_orders(held: Platform) -> list[dict[str, Any]]:
    """Orders about products and stores that were sent, as far as they say what they must."""
    return [one for one in held.accepted(topics.BY_ID["assortment"]) if says(one, _A_RANGE_ORDER)]


def _about(
    orders: list[dict[str, Any]], store: int, product: str, country: str
) -> list[tuple[int, int, bool]]:
    """(from when, how narrow, whether it is sold) of each order that covers the shelf, of the store first."""
    found = []
    for one in orders if store < FIRST_CENTRE else []:
        opens = one["action"] in ("relist", "reopen")
        if one["action"] in ("close", "reopen"):
            if one.get("store") == store:
                found.append((one["from_ms"], -1, opens))
        elif str(one.get("product")).lstrip("0") == product.lstrip("0"):
            narrow = 2 if "store" in one else 1 if "country" in one else 0
            if one.get("store", store) == store and one.get("country", country) == country:
                found.append((one["from_ms"], narrow, opens))
    return found


def _is_traded(about: list[tuple[int, int, bool]], at_ms: int) -> bool:
    """Neither its store closed nor its product delisted, by the last order of each kind that has begun."""
    begun = [one for one in about if one[0] <= at_ms]
    closings = [one for one in begun if one[1] < 0]
    listings = [one for one in begun if one[1] >= 0]
    return all(max(some)[2] for some in (closings, listings) if some)


def _places(conf: Conf) -> dict[int, tuple[str, str]]:
    """Each store's zone and country, by the table that the jobs are given."""
    said = conf.reference.stores
    if said is None:
        raise ConfError("reference.stores is not set: name the CSV that the jobs were given")
    with _file(said, "stores").open(encoding="utf-8-sig", newline="") as file:
        return {int(row["store"]): (row["zone"], row["country"]) for row in csv.DictReader(file)}


def _file(said: str, table: str) -> Path:
    return PACKAGE / "sim" / "data" / f"{table}.csv" if said == PACKAGED else Path(said)


def _level(key: Key, where: str, found: int | None, wanted: int, report: Report) -> None:
    if found != wanted:
        report.differ(where, f"{key}", f"level {found}, must be {wanted}")


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
    report.add("orders", len(ordered), len(asked))
    report.add("pieces ordered", sum(ordered.values()), granted.total() + refused.total())
    emergencies = sum(order["emergency"] for order in sent["stock_orders"])
    report.add("truck routes", emergencies, len(_bodies(held, "truck_routes")))
    report.add("offers", queries, len(_bodies(held, "transfer_offers")))
    lows = sum(wanted.lows for wanted in decided.values())
    oks = sum(wanted.oks for wanted in decided.values())
    belows = sum(wanted.belows for wanted in decided.values())
    report.add("central updates", lows + oks, len(_bodies(held, "central_stock")))
    notices = Counter(body["template"] for body in _bodies(held, "stock_notices"))
    report.add("alerts of low stock", lows, notices["low_stock"])
    report.add("alerts of miscounts", belows, notices["stock_below_zero"])
    report.add("alerts of unfilled orders", len(refused), notices["order_unfilled"])
    for body in _bodies(held, "stock_notices"):
        if body["template"] == "never_counted":
            _never_counted(body, decided, report)


def _too_late(late: set[str], held: Platform, report: Report) -> None:
    """Each document with a line that came too late is told to its store. ``late``: store and document."""
    told = {
        f"{body['recipient'].partition(':')[2]}:{body['cause']}"
        for body in _bodies(held, "stock_notices")
        if body["template"] == "document_too_late"
    }
    for name in sorted(late ^ told):
        report.differ("documents too late", name, "not told" if name in late else "was in time")
    report.add("documents too late", len(late), len(told))


def _transfers(truth: StockTruth, held: Platform, report: Report) -> None:
    """What was told of a transfer is of what was sent, as far as it had come by then, and is a difference."""
    for body in _bodies(held, "stock_notices"):
        if body["template"] != "transfer_differs":
            continue
        told = body["params"]
        sent, received = truth.carried.get((told["reference"], told["product"]), [0, 0])
        missing = told["sent"] - told["received"]
        far = told["sent"] > sent or told["received"] > received
        if far or not missing or told["missing"] != missing:
            what = f"{told['sent']} and {told['received']}, of {sent} and {received} in all"
            report.differ("transfers", body["notice_id"], what)


def _never_counted(body: dict[str, Any], decided: dict[Key, Wanted], report: Report) -> None:
    """What a store was told of a day; what came after the telling is not in it."""
    store, told = body["recipient"].partition(":")[2], body["params"]
    of_day = {
        product
        for (place, product), wanted in decided.items()
        if str(place) == store and told["day"] in wanted.uncounted
    }
    named = set(told["products"].split(", "))
    if not 0 < told["shelves"] <= len(of_day) or not named <= of_day:
        what = f"{told['shelves']} shelves, {len(named - of_day)} of those named wrongly"
        report.differ("never counted", body["notice_id"], f"{what}, of {len(of_day)}")


def _once(held: Platform, report: Report) -> None:
    """No action was sent twice."""
    for name in ACTIONS:
        bodies: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for body in _bodies(held, name):
            bodies[_id(body)].append(body)
        for identity, (first, *again) in bodies.items():
            if any(body != first for body in again):
                report.differ(name, identity, "sent again with other content")
            elif again:
                report.differ(name, identity, f"sent {1 + len(again)} times")


def _id(body: dict[str, Any]) -> str:
    names = ("request_id", "line_id", "route_id", "offer_id", "update_id", "notice_id")
    return next(str(body[name]) for name in names if name in body)


def _bodies(held: Platform, topic: str) -> list[dict[str, Any]]:
    """What the job has sent. Of its requests, which it reads itself, what it has not refused."""
    read = held.accepted if topic == "stock_requests" else held.documents
    found = [one for one in read(topics.BY_ID[topic]) if says(one, _TAKEN[topic])]
    if topic != "stock_notices":
        return found
    return [one for one in found if says(one["params"], _TOLD.get(one["template"], {}))]


def _dead_letters(truth: StockTruth, held: Platform, report: Report) -> None:
    waiting = truth.malformed.copy()
    found = 0
    for _, raw in held.dead_letters().values():
        if waiting[shape(raw)] > 0:
            waiting[shape(raw)] -= 1
            found += 1
    report.add("dead letters", truth.malformed.total(), found)
