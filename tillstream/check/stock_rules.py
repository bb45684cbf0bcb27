"""Ordering by hand, for the check alone: written from docs/jobs/inventory.md, not from the job.

It takes the ledger of one product in one store, line by line in the ledger's own order, and says what
must have been ordered, told and asked. Floats where the job has whole numbers: terms may differ by a
piece, which is why decisions are taken on the ledger's own terms once those are found right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, sqrt
from typing import Any

DAY = 86_400_000
HOUR = 3_600_000


@dataclass
class Demand:
    """Mean and variance of whole days."""

    day: int | None = None
    units: int = 0
    empty: bool = False
    days: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def sold(self, at_ms: int, pieces: int, before: int, look_back: int) -> None:
        day = at_ms // DAY
        if self.day is None:
            self.day = day
        if day > self.day:
            missed = min(day - self.day - 1, 28) if before > 0 else 0
            for _ in range(1 + missed):
                self._close(look_back)
            self.day = day
        self.units += pieces
        if before - pieces <= 0:
            self.empty = True

    def _close(self, look_back: int) -> None:
        units = max(0, self.units)
        if not self.empty or units >= self.mean:
            self.days += 1
            a = 1 / min(self.days, look_back)
            away = units - self.mean
            self.mean += a * away
            self.variance += a * ((1 - a) * away * away - self.variance)
        self.units, self.empty = 0, False


@dataclass
class Wanted:
    """Ids that must be there, with their quantities or None; faults found on the way."""

    orders: dict[str, int] = field(default_factory=dict)
    lows: int = 0
    oks: int = 0
    belows: int = 0
    queries: int = 0
    faults: list[str] = field(default_factory=list)


def replay(rows: list[dict[str, Any]], terms: Any, is_store: bool) -> Wanted:
    """``rows``: the ledger of one key by version; ``terms``: ``conf.inventory``."""
    wanted, demand = Wanted(), Demand()
    plan, counted, low, below, hold = 0, False, False, False, -1
    newest = 0
    open_orders: dict[str, list[int]] = {}
    for row in rows:
        kind, outcome = row["kind"], row["outcome"]
        at, store, product = row["event_time_ms"], row["store"], row["product"]
        level, before = row["new_quantity"], row["old_quantity"]
        if outcome == "too_late":
            continue
        newest = max(newest, at)
        counted |= outcome == "counted"
        if kind in ("sale", "refund", "void"):
            demand.sold(at, -row["quantity"], before, terms.learn_days)
        elif kind == "plan":
            plan = row["quantity"]
        s, big_s = row["reorder_point"], row["order_up_to"]
        _check_terms(wanted, row, demand, plan, terms)
        if kind == "refusal":
            # what was refused is in the requests; the ledger says how much is still on order
            hold = newest + terms.retry_hours * HOUR
            _match_open(open_orders, row["open_orders"])
            continue
        if kind in ("allocation", "query"):
            continue
        if kind == "delivery":
            _match_open(open_orders, row["open_orders"])
        if level < 0 and not below:
            below = True
            wanted.belows += 1
        elif level >= 0:
            below = False
        if not is_store or s < 0 or not counted:
            continue
        low_at = big_s * terms.emergency_percent // 100
        if low and level > max(s, 2 * low_at):
            low = False
            wanted.oks += 1
        starts = not low and level <= low_at
        if starts or level <= s or low:
            patience = newest - terms.patience_hours * HOUR
            open_orders = {o: v for o, v in open_orders.items() if v[1] >= patience}
        position = max(level, 0) + sum(pieces for pieces, _ in open_orders.values())
        pieces = big_s - position
        if starts:
            pieces = max(pieces, s - max(level, 0))
        if (starts or position <= s) and pieces > 0 and newest >= hold:
            order = f"{store}-{product}-{len(wanted.orders) + 1:06d}"
            wanted.orders[order] = pieces
            open_orders[order] = [pieces, newest]
        if starts:
            low = True
            wanted.lows += 1
        if row["low"] != low:
            wanted.faults.append(f"version {row['version']}: low is {row['low']}, must be {low}")
    return wanted


def _match_open(open_orders: dict[str, list[int]], text: str) -> None:
    """What a delivery or refusal left open is taken from the ledger: it does not say which order."""
    left = {part.split(":")[0]: int(part.split(":")[1]) for part in text.split()}
    for order in list(open_orders):
        if order in left:
            open_orders[order][0] = left[order]
        else:
            del open_orders[order]


def _check_terms(
    wanted: Wanted, row: dict[str, Any], demand: Demand, plan: int, terms: Any
) -> None:
    """Reorder point and order-up-to level by the formulas, in floats, to a piece."""
    if row["uplift_percent"] != 100:
        return
    known = demand.days >= terms.fewest_days
    mean = demand.mean if known else 0.0
    variance = max(demand.variance, mean)

    def cover(hours: int) -> float:
        spread = variance * hours / 24 + (mean * terms.lead_sd_hours / 24) ** 2
        return mean * hours / 24 + terms.safety_milli / 1000 * sqrt(spread)

    big_s = max(plan, ceil(cover(terms.lead_hours + terms.review_hours) - 0.01))
    s = min(ceil(cover(terms.lead_hours) - 0.01), big_s - 1)
    if not (known and big_s):
        s = big_s // 4 if plan else -1
    if abs(row["reorder_point"] - s) > 1 or abs(row["order_up_to"] - big_s) > 1:
        wanted.faults.append(
            f"version {row['version']}: terms are {row['reorder_point']}, {row['order_up_to']},"
            f" must be {s}, {big_s}"
        )
