"""What is normal at a time: level, time of day, weekday, payday, learnt robustly as records come.

    expected = level + day[half hour] + w week[weekday, hour] + v special[kind of day, hour]

Each part is a running mean of what the others leave, whose step falls with the hours it has seen; a
record further off than CLIP times its usual deviation moves it no more than one so far (Huber 1964). An
hour of a weekday, or of a special day, is shrunk to nothing while it was seldom seen: ``w = h / (h + 2)`` after
``h`` hours. Deviations are means of absolute residuals, by half hour, shrunk to that of all hours.
"""

from __future__ import annotations

import math
from datetime import date
from functools import lru_cache

import msgspec

from tillstream.domain.local_time import offset_ms
from tillstream.domain.spikes.rules import (
    DAY_MS,
    HOLIDAY,
    KINDS,
    MONTH_END,
    NORMAL,
    PAYDAY,
    Calendar,
    SpikeRules,
)

SLOTS = 48
CLIP = 3.0
HOUR_MS = 3_600_000
EPOCH = date(1970, 1, 1).toordinal()
DAYS_KEPT = 20.0  # the day's shape is the mean of about so many days
WEEKS_KEPT = 6.0
SHRINK = 2.0
LEVEL_HOURS = 24.0
UNKNOWN = 1.0  # by so much wider is what is expected of a kind of day that was never seen


class Baseline(msgspec.Struct, array_like=True, gc=False):
    """level: of all. day, day_hours: value and hours seen by half hour; spread: mean absolute residual
    there. week, week_hours: by weekday and hour. special, special_hours: by kind of day but NORMAL, and
    hour. wide: mean absolute residual of all records; seen: records."""

    level: float = 0.0
    day: list[float] = []
    day_hours: list[float] = []
    spread: list[float] = []
    week: list[float] = []
    week_hours: list[float] = []
    special: list[float] = []
    special_hours: list[float] = []
    wide: float = 0.0
    seen: int = 0


class Place(msgspec.Struct, array_like=True, gc=False):
    """Where in the local calendar a record is: indices into the baseline's lists; special: -1 on a normal
    day. hours: how much time it stands for."""

    slot: int
    week: int
    special: int
    hours: float


def new_baseline(value: float) -> Baseline:
    return Baseline(
        value, [0.0] * SLOTS, [0.0] * SLOTS, [0.0] * SLOTS, [0.0] * 168, [0.0] * 168,
        [0.0] * (24 * (KINDS - 1)), [0.0] * (24 * (KINDS - 1)),
    )  # fmt: skip


@lru_cache(maxsize=4096)
def kind_of_day(calendar: Calendar, day: int) -> int:
    """What is special of a local day (since the epoch): HOLIDAY, PAYDAY, MONTH_END or NORMAL."""
    if day in calendar.holidays:
        return HOLIDAY
    if not calendar.paydays and not calendar.month_end:
        return NORMAL
    here = date.fromordinal(EPOCH + day)
    for back in range(calendar.payday_days):
        if date.fromordinal(EPOCH + day - back).day in calendar.paydays:
            return PAYDAY
    tomorrow = date.fromordinal(EPOCH + day + 1)
    if calendar.month_end and (here.day == 1 or tomorrow.day == 1):
        return MONTH_END
    return NORMAL


def place(at_ms: int, interval_ms: float, rules: SpikeRules) -> Place:
    local = at_ms + offset_ms(rules.calendar.zone, at_ms)
    day, inside = divmod(local, DAY_MS)
    hour = inside // HOUR_MS
    kind = kind_of_day(rules.calendar, day)
    return Place(
        inside * SLOTS // DAY_MS,
        (day + 3) % 7 * 24 + hour,
        (kind - 1) * 24 + hour if kind else -1,
        min(interval_ms / HOUR_MS, 1.0),
    )


def expected(base: Baseline, where: Place, rules: SpikeRules) -> tuple[float, float]:
    """(value, mean absolute deviation) at that place."""
    value = base.level + base.day[where.slot]
    if rules.weeks:
        hours = base.week_hours[where.week]
        value += base.week[where.week] * hours / (hours + SHRINK)
    known = base.day_hours[where.slot] * 2.0
    spread = (known * base.spread[where.slot] + 4.0 * base.wide) / (known + 4.0)
    if where.special >= 0:
        hours = base.special_hours[where.special]
        value += base.special[where.special] * hours / (hours + 0.5)
        spread *= 1.0 + UNKNOWN / (1.0 + hours)
    return value, spread


def learn(base: Baseline, where: Place, residual: float, spread: float, rules: SpikeRules) -> None:
    """The record was by ``residual`` above what was expected there."""
    base.seen += 1
    size = abs(residual)
    limit = CLIP * spread
    # At first there is no deviation to clip by.
    if size > limit and base.seen > 50:
        residual = math.copysign(limit, residual)
        size = limit if base.seen > 400 else size
    hours, slot = where.hours, where.slot
    base.wide += (size - base.wide) * max(1.0 / base.seen, 0.002)
    known = base.day_hours[slot] = min(base.day_hours[slot] + hours, DAYS_KEPT / 2)
    step = hours / known
    base.spread[slot] += (size - base.spread[slot]) * step
    if where.special >= 0:
        known = min(base.special_hours[where.special] + hours, 6.0)
        base.special_hours[where.special] = known
        base.special[where.special] += residual * hours / known
        return
    base.day[slot] += residual * step * 0.5
    if rules.weeks:
        known = base.week_hours[where.week] = min(
            base.week_hours[where.week] + hours, WEEKS_KEPT
        )
        base.week[where.week] += residual * hours / known * 0.7
    base.level += residual * max(hours / LEVEL_HOURS, 1.0 / base.seen)
