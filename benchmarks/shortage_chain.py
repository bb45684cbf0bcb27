"""A simulated chain: 200 stores in five regions sell bread; one morning one region's truck stays away.

Each store has its own traffic, share of bread and lead time; days differ by a store's and a region's
luck. Bread comes at seven for the day. On the day of failure the region's shelves hold what was left,
a third of a day; in one store in ten the ledger was told of a delivery that never came, so that only
the silence can tell. Everything goes through the product's rules, in event time.
"""

from __future__ import annotations

import statistics
from random import Random
from typing import Any

from tillstream.domain.demand.model import DAY_MS, HOUR_MS, DemandRules
from tillstream.domain.shortage.line import OK, SILENT, Shortage
from tillstream.domain.shortage.regional import Area, RegionalRules, apply_line
from tillstream.domain.shortage.shelves import ShortageRules, StoreWatch
from tillstream.domain.shortage.store import Basket, Level, apply_basket, apply_level

REGIONS, STORES = 5, 200
LEARN, NORMAL = 21, 14  # days
PRODUCT = "20000000"
MONDAY = 20_416
HOURS = (0.4, 0.9, 1.2, 1.3, 1.2, 1.0, 0.9, 0.9, 1.2, 1.0)  # 08:00 to 18:00
WEEKDAYS = (0.8, 0.8, 0.9, 1.0, 1.2, 1.5, 0.8)
LOCAL = DemandRules()
RULES = ShortageRules(
    demand=LOCAL, lead_minutes_by_store={s: 45 + s % 4 * 30 for s in range(STORES)}
)
REGIONAL = RegionalRules()


class Store:
    """Its habits, its shelf, and what the product's rules know of it."""

    def __init__(self, number: int, chance: Random):
        self.number, self.region = number, f"region-{chr(97 + number % REGIONS)}"
        self.baskets_an_hour = chance.uniform(20, 50)
        self.share = chance.uniform(0.12, 0.3)
        self.daily = self.baskets_an_hour * sum(HOURS) * self.share
        self.stock = self.ledger = self.version = 0
        self.watch: StoreWatch | None = None
        self.empty_ms = 0

    def level(self, at_ms: int, came: bool) -> list[Shortage]:
        self.version += 1
        level = Level(PRODUCT, self.ledger, self.version, at_ms, at_ms, came)
        after, lines = apply_level(self.number, self.watch, level, RULES)
        self.watch = after or self.watch
        return lines

    def filled(self, day: int, truck: bool, phantom: bool) -> list[Shortage]:
        """The morning's delivery; without the truck a third is left of yesterday."""
        full = round(1.5 * self.daily * WEEKDAYS[day % 7])
        self.stock = full if truck else full // 3
        self.ledger = full if phantom else self.stock
        self.empty_ms = 0
        return self.level((MONDAY + day) * DAY_MS + 7 * HOUR_MS, True)

    def sells(self, at_ms: int, mark: int, wants: bool) -> list[Shortage]:
        lines: tuple[tuple[str, int], ...] = ()
        if wants and self.stock:
            self.stock, self.ledger, lines = self.stock - 1, self.ledger - 1, ((PRODUCT, 1),)
            if not self.stock:
                self.empty_ms = at_ms
        basket = Basket(self.region, at_ms, at_ms, lines, mark.to_bytes(4, "big"))
        after, told = apply_basket(self.number, self.watch, basket, RULES)
        self.watch = after or self.watch
        return told + self.level(at_ms, False) if lines else told


def visits(stores: list[Store], day: int, chance: Random) -> list[tuple[int, int, bool]]:
    """(time, store, wants bread) of one day, in order of time."""
    out = []
    regional = [chance.gammavariate(60, 1 / 60) for _ in range(REGIONS)]
    for store in stores:
        luck = chance.gammavariate(25, 1 / 25) * regional[store.number % REGIONS]
        at = float((MONDAY + day) * DAY_MS + 8 * HOUR_MS)
        for hour, weight in enumerate(HOURS):
            end = (MONDAY + day) * DAY_MS + (9 + hour) * HOUR_MS
            rate = store.baskets_an_hour * weight * WEEKDAYS[day % 7] * luck
            while (at := at + chance.expovariate(rate) * HOUR_MS) < end:
                out.append((int(at), store.number, chance.random() < store.share))
            at = float(end)
    return sorted(out)


def chain(seed: int = 7) -> dict[str, Any]:
    """What the stores and the regions were told, against what happened."""
    chance = Random(seed)
    stores = [Store(n, chance) for n in range(STORES)]
    areas: dict[str, Area] = {}
    mark = 0
    told: dict[int, list[Shortage]] = {}
    regional: dict[int, list[tuple[int, str]]] = {}
    empty: dict[int, dict[int, int]] = {}
    failing = LEARN + NORMAL
    for day in range(failing + 1):
        told[day], regional[day] = [], []
        hit = {s.number for s in stores if s.region == "region-c"} if day == failing else set()
        lines: list[Shortage] = []
        for store in stores:
            away = store.number in hit
            lines += store.filled(day, not away, away and store.number % 50 in (2, 27))
        for at_ms, number, wants in visits(stores, day, chance):
            mark += 1
            lines += stores[number].sells(at_ms, mark, wants)
            for line in lines:
                after, _, notices = apply_line(areas.get(line.area), line, REGIONAL)
                areas[line.area] = after or areas[line.area]
                regional[day] += [
                    (n.event_time_ms, line.region)
                    for n in notices
                    if n.template == "regional_shortage"
                ]
            told[day] += lines
            lines = []
        empty[day] = {s.number: s.empty_ms for s in stores if s.empty_ms}
    return {
        "stores": STORES,
        "normal_days": NORMAL,
        **normal_days(told, regional, empty),
        "failure": failure(stores, told[failing], regional[failing], empty[failing], failing),
    }


def normal_days(
    told: dict[int, list[Shortage]], regional: dict[int, list[tuple[int, str]]], empty: Any
) -> dict[str, Any]:
    days = range(LEARN, LEARN + NORMAL)
    silent = sum(t.status == SILENT for d in days for t in told[d])
    warned = {(d, t.store) for d in days for t in told[d] if t.opens and t.status == "running_out"}
    ran_out = {(d, store) for d in days for store in empty[d]}
    # A rush that empties shelves all over a region is a regional shortage, if no supplier's fault.
    alerts = [
        sum(f"region-{chr(97 + store % REGIONS)}" == region for store in empty[d])
        for d in days
        for _, region in regional[d]
    ]
    stated = RULES.silence.false_alarms_a_year * STORES * NORMAL / 365
    return {
        "silent_false_alarms_stated": round(stated, 1),
        "silent_false_alarms": silent,
        "regional_alerts": len(alerts),
        "of_these_false": sum(n < REGIONAL.fewest for n in alerts),
        "shelves_empty_that_day_in_their_regions": alerts,
        "shelves_that_ran_out": len(ran_out),
        "of_these_warned": len(ran_out & warned),
        "warnings_of_shelves_that_lasted": len(warned - ran_out),
    }


def failure(
    stores: list[Store], told: list[Shortage], regional: list[tuple[int, str]],
    empty: dict[int, int], day: int,
) -> dict[str, Any]:  # fmt: skip
    hit = [s for s in stores if s.region == "region-c"]
    gone = {s.number: empty[s.number] for s in hit if s.number in empty}
    alerts: dict[int, Shortage] = {}
    for line in told:
        if line.opens and line.status != OK:
            alerts.setdefault(line.store, line)
    ahead = {n: at - alerts[n].at_ms for n, at in gone.items() if n in alerts}
    ledger_right = [n for n in gone if n % 50 not in (2, 27)]
    in_time = [n for n in ledger_right if ahead.get(n, -1) >= RULES.lead_ms(n)]
    before = [n for n in ledger_right if ahead.get(n, -1) > 0]
    phantom = [n for n in gone if n % 50 in (2, 27)]
    silences = [alerts[n].at_ms - gone[n] for n in phantom if n in alerts]
    right = [at for at, region in regional if region == "region-c"]
    out: dict[str, Any] = {
        "stores_hit": len(hit),
        "ran_out": len(gone),
        "told_before_empty": f"{len(before)} of {len(ledger_right)}",
        "told_by_their_lead_time": f"{len(in_time)} of {len(ledger_right)}",
        "median_minutes_told_before_empty": round(
            statistics.median(v for n, v in ahead.items() if n in ledger_right) / 60_000
        ),
        "ledger_wrong_found_silent": f"{len(silences)} of {len(phantom)}",
        "median_minutes_silent": round(statistics.median(silences) / 60_000) if silences else None,
        "regional_alerts": len(right),
        "regional_alerts_elsewhere": len(regional) - len(right),
    }
    if right and gone:
        opening = (MONDAY + day) * DAY_MS + 8 * HOUR_MS
        first = min(gone.values())
        half = sorted(gone.values())[len(gone) // 2]
        short_then = sum(at <= right[0] for at in gone.values())
        out |= {
            "regional_alert_minutes_after_opening": round((right[0] - opening) / 60_000),
            "first_empty_shelf_minutes_after_opening": round((first - opening) / 60_000),
            "regional_alert_minutes_before_half_are_empty": round((half - right[0]) / 60_000),
            "shelves_empty_at_regional_alert": short_then,
        }
    return out
