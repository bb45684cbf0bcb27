"""The line of a shelf in the table of shortages, which is also the alert to it, and why it says so."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec

from tillstream.domain.demand.model import DemandRules
from tillstream.domain.local_time import clock

MINUTE_MS = 60_000
OK, RUNNING_OUT, SOLD_OUT, SILENT = "ok", "running_out", "sold_out", "silent"
OFFLINE = "offline"
EVERYTHING = "*"  # the product of a line that is about the whole store


class Shortage(msgspec.Struct, gc=False):
    """The line of a shelf in the table of shortages, and the alert to it. Times are ms since the epoch
    (UTC), None where unknown; ``shelf`` is the key, ``<store>/<product>``, and ``area`` that of the
    regional stage, ``<region>/<product>``. ``opens``: the shelf has just left ``ok``, or got worse."""

    shelf: str
    area: str
    place: str
    store: int
    region: str
    product: str
    shortage_id: str
    status: str
    before: str
    version: int
    at_ms: int
    since_ms: int
    stock: int | None
    early_ms: int | None
    run_out_ms: int | None
    late_ms: int | None
    lead_minutes: int
    demand_percent: int
    silent_baskets: int
    opens: bool
    stale: bool
    why: str


def explain(line: Shortage, rules: DemandRules) -> str:
    """Why a shelf has the status it has, in one line for people; times are the store's own."""
    left = "an unknown stock" if line.stock is None else f"{line.stock} left"
    if line.status == RUNNING_OUT:
        gone = [_clock(t, rules) for t in (line.run_out_ms, line.early_ms, line.late_ms)]
        return (
            f"sells {line.demand_percent} % of normal, {left}: gone by {gone[0]} "
            f"({gone[1]} to {gone[2]}), help takes {line.lead_minutes} min"
        )
    if line.status == SOLD_OUT:
        return "the stock ledger says nothing is left"
    if line.status == SILENT:
        return f"{line.silent_baskets} baskets in a row without it, with {left} in the ledger"
    return f"{left}, sells {line.demand_percent} % of normal"


def _clock(at_ms: int | None, rules: DemandRules) -> str:
    return "later" if at_ms is None else clock(rules.zone, at_ms)


def date_of(day: int) -> str:
    """A local day as yyyymmdd."""
    return (date(1970, 1, 1) + timedelta(day)).strftime("%Y%m%d")
