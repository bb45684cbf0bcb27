"""Many stores short of the same product: one supplier's problem, or one region's rush, told once.

State is kept by region and product: the stores that are short now and since when, and how many
shortages there normally are by weekday and hour, learnt like a demand. When a store becomes short,
the last ``windows`` are counted. Under the normal rate a window holds a negative binomial number, so

    P(N >= stores newly short | normal) <= alpha / number of windows

in any of them, by at least ``fewest`` stores, opens a regional alert (a scan statistic: Naus 1965; the
union over windows is paid for by dividing). Counting stores, not alerts, a shelf that flaps weighs
once. It closes when fewer than ``fewest`` of its stores are still short. While it is open each
store's manager is still told, for the manager's customers stand there, but told that it is known.
"""

from __future__ import annotations

import msgspec

from tillstream.domain.demand import forecast as fc
from tillstream.domain.demand import model as dm
from tillstream.domain.demand.counts import negative_binomial_tail
from tillstream.domain.demand.model import DAY_MS, HOUR_MS, Demand, DemandRules
from tillstream.domain.notice import Notice, notice
from tillstream.domain.shortage.line import EVERYTHING, OFFLINE, OK, Shortage, date_of

TEMPLATES = {
    "running_out": "shelf_running_out",
    "sold_out": "shelf_sold_out",
    "silent": "shelf_silent",
    "offline": "store_offline",
}
REGIONAL = "regional_shortage"


class RegionalRules(msgspec.Struct, frozen=True, gc=False):
    """alpha: chance that a store becoming short opens a regional alert where all is normal.
    forget_ms: a store is no longer counted as short after so long. normal: how the usual number of
    shortages is learnt; its first belief is one in three days."""

    alpha: float = 1e-4
    fewest: int = 3
    windows_ms: tuple[int, ...] = (HOUR_MS // 2, HOUR_MS, 2 * HOUR_MS, 4 * HOUR_MS)
    forget_ms: int = DAY_MS
    normal: DemandRules = DemandRules(spread=2.0, first_units_a_day=0.3)

    def at(self, zone: str) -> RegionalRules:
        """The same by the clocks of ``zone``."""
        return msgspec.structs.replace(self, normal=self.normal.at(zone))


class Area(msgspec.Struct, array_like=True, gc=False):
    """One product in one region. short: store -> since when. opened_ms: of the open alert, 0 if none;
    stores: how many it has seen; version: of its line in the table."""

    normal: Demand = msgspec.field(default_factory=Demand)
    short: dict[int, int] = {}
    opened_ms: int = 0
    episode_day: int = 0
    episode: int = 0
    stores: int = 0
    version: int = 0


class RegionalLine(msgspec.Struct, gc=False):
    """The line of a region in the table of shortages; ``stores``: short now, as numbers with blanks."""

    shelf: str
    place: str
    region: str
    product: str
    shortage_id: str
    status: str
    version: int
    at_ms: int
    since_ms: int
    why: str


def apply_line(
    area: Area | None, line: Shortage, rules: RegionalRules
) -> tuple[Area | None, list[RegionalLine], list[Notice]]:
    """The region after a shelf's line; its own lines, and the notices to send."""
    if line.product == EVERYTHING:
        told = [_of_store(line, "")] if line.status == OFFLINE and not line.stale else []
        return None, [], told
    area = area or Area()
    at = line.at_ms
    lines: list[RegionalLine] = []
    notices: list[Notice] = []
    area.short = {s: t for s, t in area.short.items() if at - t <= rules.forget_ms}
    if line.status == OK:
        area.short.pop(line.store, None)
        if area.opened_ms and len(area.short) < rules.fewest:
            lines.append(_regional(area, line, OK, "fewer stores are short", rules))
            area.opened_ms = area.stores = 0
        return area, lines, notices
    if line.store not in area.short:
        area.short[line.store] = line.since_ms
        why = _chain(area, at, rules)
        area.normal = dm.observe(area.normal, at, 1, rules.normal)
        if area.opened_ms:
            area.stores += 1
            lines.append(_regional(area, line, REGIONAL, _members(area), rules))
        elif why:
            day = dm.local(at, rules.normal)[0]
            area.episode = area.episode + 1 if day == area.episode_day else 1
            area.episode_day, area.opened_ms, area.stores = day, at, len(area.short)
            opened = _regional(area, line, REGIONAL, f"{why}; {_members(area)}", rules)
            lines.append(opened)
            if not line.stale:
                notices.append(_of_region(opened, area))
    if line.opens and not line.stale:
        known = _id(area, line.area) if area.opened_ms else ""
        notices.insert(0, _of_store(line, known))
    return area, lines, notices


def _chain(area: Area, at: int, rules: RegionalRules) -> str:
    """Why the stores newly short are more than chance; empty if they are not."""
    area.normal = dm.roll(area.normal, at, rules.normal)
    shape = dm.day_spread(area.normal, rules.normal)
    for window in rules.windows_ms:
        count = sum(at - since < window for since in area.short.values())
        usual = fc.normal_units(area.normal, at - window, at, rules.normal)
        unlikely = negative_binomial_tail(count, usual, shape)
        if count >= rules.fewest and unlikely <= rules.alpha / len(rules.windows_ms):
            return f"{count} stores within {window // 60_000} min, usual are {usual:.1f}"
    return ""


def _members(area: Area) -> str:
    some = ", ".join(str(store) for store in sorted(area.short)[:20])
    more = len(area.short) - 20
    return f"short now: {some}" + (f" and {more} more" if more > 0 else "")


def _id(area: Area, key: str) -> str:
    return f"{key}/{date_of(area.episode_day)}/{area.episode}"


def _regional(
    area: Area, line: Shortage, status: str, why: str, rules: RegionalRules
) -> RegionalLine:
    area.version += 1
    return RegionalLine(
        line.area, f"region:{line.region}", line.region, line.product, _id(area, line.area),
        status, area.version, line.at_ms, area.opened_ms, why,
    )  # fmt: skip


def _of_region(line: RegionalLine, area: Area) -> Notice:
    params: dict[str, str | int] = {
        "region": line.region, "product": line.product, "stores": area.stores, "why": line.why,
    }  # fmt: skip
    return notice("alert", "team:supply", REGIONAL, line.shortage_id, line.at_ms, params)


def _of_store(line: Shortage, known_as: str) -> Notice:
    params: dict[str, str | int] = {"product": line.product, "why": line.why}
    if line.stock is not None:
        params["stock"] = line.stock
    if line.run_out_ms is not None:
        params["run_out_ms"] = line.run_out_ms
        params["lead_minutes"] = line.lead_minutes
    if known_as:
        params["regional_alert"] = known_as
    template = TEMPLATES[line.status]
    return notice("alert", line.place, template, line.shortage_id, line.at_ms, params)
