"""Ordering by hand, for the check alone: written from docs/jobs/inventory.md, not from the job.

It takes the ledger of one product in one store, line by line in the ledger's own order, and says what
must have been ordered, told and asked. The job keeps its sums in four bytes each: terms may differ by a
piece, which is why decisions are taken on the ledger's own terms once those are found right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from math import ceil, sqrt
from typing import Any
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC).toordinal()
HOUR = 3_600_000
SKEW = 600_000  # a line's own time may be ahead of its arrival, which is not in the ledger
LINES = {"sale", "refund", "void", "delivery", "write_off", "count", "correction", "plan"}


@dataclass
class Demand:
    """What the weekdays sell, by the page's formulas."""

    zone: str
    half_life: float
    day: int | None = None
    units: int = 0
    empty: bool = False
    sold: list[float] = field(default_factory=lambda: [0.0] * 7)
    days: list[float] = field(default_factory=lambda: [0.0] * 7)
    beyond: float = 0.0
    judged: float = 0.0
    pieces: float = 0.0
    squares: float = 0.0

    def seen(self, at_ms: int, pieces: int, before: int) -> bool:
        """A sale or what takes one back; whether it began a day."""
        day = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(self.zone)).toordinal() - EPOCH
        began = self.day is None or day > self.day
        if self.day is None:
            self.day = day
        if day > self.day:
            self._close()
            for quiet in range(self.day + 1, min(day, self.day + 29)):
                self.day, self.units, self.empty = quiet, 0, before <= 0
                self._close()
            self.day, self.units, self.empty = day, 0, False
        if day == self.day:
            self.units = max(0, self.units + pieces)
        elif pieces > 0:
            self.sold[weekday(day)] += pieces * self._fade(self.day - day)
        if pieces > 0:
            self.pieces += pieces
            self.squares += pieces * pieces
        self.empty |= before - pieces <= 0
        return began

    def _fade(self, days: int) -> float:
        return 2.0 ** (-days / self.half_life)

    @property
    def known(self) -> int:
        return round(sum(self.days))

    def mean(self, on: int) -> float:
        overall = (sum(self.sold) + 0.5) / (sum(self.days) + 0.5)
        return (self.sold[on] + overall) / (self.days[on] + 1)

    def lump(self) -> float:
        return max(1.0, (self.squares + 5) / (self.pieces + 5))

    def spread(self) -> float:
        return 1 / min(max((15 / 8 + self.beyond) / (15 + self.judged), 0.005), 1.0)

    def of_a_day(self, days: int) -> tuple[float, float]:
        """Mean and variance, of the busier of so many days from today and from tomorrow."""
        assert self.day is not None
        ahead = [self.mean(weekday(self.day + n)) for n in range(days + 1)]
        mean = max(sum(ahead[:-1]), sum(ahead[1:])) / days
        return mean, mean * self.lump() + mean * mean / self.spread()

    def _close(self) -> None:
        assert self.day is not None
        on, fade = weekday(self.day), self._fade(1)
        due, spread, lump, known = self.mean(on), self.spread(), self.lump(), sum(self.days)
        self.sold = [n * fade for n in self.sold]
        self.days = [n * fade for n in self.days]
        if self.empty and self.units <= due:
            return
        usual = self.sold[on] > due / 4
        if not self.units and usual and (1 + due / lump / spread) ** -spread < 0.001:
            self.days[on] += 0.1
            return
        if known >= 7:
            worth = min(1.0, due / lump / spread)
            off = ((self.units - due) ** 2 - lump * due) / due**2
            self.beyond = self.beyond * fade + worth * min(off, 4.0)
            self.judged = self.judged * fade + worth
        self.sold[on] += self.units
        self.days[on] += 1
        self.squares *= fade
        self.pieces *= fade


def weekday(day: int) -> int:
    return (day + 3) % 7


@dataclass
class Wanted:
    """Ids that must be there, with their quantities or None; faults found on the way. uncounted: the local
    days on which something was traded of what nobody had counted."""

    orders: dict[str, int] = field(default_factory=dict)
    lows: int = 0
    oks: int = 0
    belows: int = 0
    uncounted: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


def replay(
    rows: list[dict[str, Any]],
    terms: Any,
    half_life_days: float,
    zone: str,
    is_store: bool,
    traded: Callable[[int], bool] = lambda at_ms: True,
) -> Wanted:
    """``rows``: the ledger of one key by version; ``terms``: ``conf.inventory``; ``zone``: by whose
    clocks its days begin; ``traded``: whether the shelf is sold from at a time.
    What a promotion taught is not followed: the ledger does not tell its hours."""
    wanted = Wanted()
    demand = Demand(zone, half_life_days)
    due, promoted = (-1, 0), False
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
        if outcome == "counted" and not counted:
            counted = True
            wanted.uncounted.discard(_iso(demand.day))
        if kind in ("sale", "refund", "void"):
            if not counted and traded(newest):
                here = datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).toordinal() - EPOCH
                if demand.day is None or here >= demand.day:
                    wanted.uncounted.add(_iso(here))
            if demand.seen(at, -row["quantity"], before):
                due = _terms(demand, plan, terms)
        elif kind == "plan":
            plan = row["quantity"]
            due = _terms(demand, plan, terms)
        promoted |= kind == "promotion"
        s, big_s = row["reorder_point"], row["order_up_to"]
        if not promoted and (abs(s - due[0]) > 1 or abs(big_s - due[1]) > 1):
            what = f"terms are {s}, {big_s}, must be {due[0]}, {due[1]}"
            wanted.faults.append(f"version {row['version']}: {what}")
        if kind == "refusal":
            # what was refused is in the requests; the ledger says how much is still on order
            hold = newest + terms.retry_hours * HOUR
            _match_open(open_orders, row["open_orders"])
            continue
        if kind in ("allocation", "query"):
            continue
        if kind == "delivery":
            _match_open(open_orders, row["open_orders"])
        oldest = min(
            (int(part.split(":")[2]) for part in row["open_orders"].split()), default=newest
        )
        if kind in LINES and oldest < newest - terms.patience_hours * HOUR - SKEW:
            wanted.faults.append(f"version {row['version']}: an order is open that has expired")
        if not traded(newest):
            open_orders, low, below = {}, False, False
            if row["open_orders"] or row["low"]:
                wanted.faults.append(
                    f"version {row['version']}: on order or low where nothing is sold"
                )
            continue
        if not counted:
            continue
        if level < 0 and not below:
            below = True
            wanted.belows += 1
        elif level >= 0 and kind in ("count", "correction", "delivery", "transfer_in"):
            below = False
        if not is_store or s < 0:
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


def _iso(day: int | None) -> str:
    return "" if day is None else date.fromordinal(day + EPOCH).isoformat()


def _match_open(open_orders: dict[str, list[int]], text: str) -> None:
    """What a delivery or refusal left open is taken from the ledger: it does not say which order."""
    left = {part.split(":")[0]: int(part.split(":")[1]) for part in text.split()}
    for order in list(open_orders):
        if order in left:
            open_orders[order][0] = left[order]
        else:
            del open_orders[order]


def _terms(demand: Demand, plan: int, terms: Any) -> tuple[int, int]:
    """Reorder point and order-up-to level by the formulas."""
    if demand.known < terms.fewest_days:
        return (plan // 4 if plan else -1), plan

    def cover(hours: int) -> int:
        mean, variance = demand.of_a_day(ceil(hours / 24))
        spread = variance * hours / 24 + (mean * terms.lead_sd_hours / 24) ** 2
        return ceil(mean * hours / 24 + terms.safety_milli / 1000 * sqrt(spread))

    big_s = max(plan, cover(terms.lead_hours + terms.review_hours))
    return min(cover(terms.lead_hours), big_s - 1), big_s
