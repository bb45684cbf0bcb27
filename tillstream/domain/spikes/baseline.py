"""What is normal at a time: level, time of day, weekday, payday, learnt robustly as records come.

    shape = day[half hour] + w week[weekday, hour]        w = h / (h + 2) after h hours of it
    expected = level + shape                              of any series
    expected = luck * special[kind of day] * shape        of counts, whose parts multiply

Each part is a running mean of what the others leave, whose step falls with the hours it has seen; a
record further off than CLIP times its usual deviation moves it no more than one so far (Huber 1964).
``luck`` and ``special`` are slopes through the origin, so that quiet hours hardly move them, shrunk to 1:
luck over ``level_hours``, special over all such days. Deviations are means of absolute residuals, by half
hour, shrunk to that of all hours. A kind of day that is hardly known may be anything within a quarter.
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

SLOTS, WEEK = 48, 168
CLIP = 3.0
HOUR_MS = 3_600_000
DAYS_KEPT = 20.0  # the day's shape is the mean of about so many days
WEEKS_KEPT = 6.0  # hours
SHRINK = 2.0  # hours
WEEK_HOURS = 3.5  # of a half hour, a week: before that weekdays cannot be told from the level
SPECIAL_HOURS = 72.0  # of a kind of day that count
LUCK_HOURS = 120.0  # of which the mean of luck is
UNKNOWN, KNOWN_HOURS = 0.25, 8.0  # part of the expected; hours after which it is half
_EPOCH = date(1970, 1, 1).toordinal()


class Baseline(msgspec.Struct, array_like=True, gc=False):
    """level: of all. day, day_hours, spread: value, hours seen and mean absolute residual by half hour. week,
    week_hours: by weekday and hour. special: by kind of day, sums of expected times actual and of expected
    squared; special_hours: seen. luck: the same two sums of lately, and its mean on normal days. wide: mean
    absolute residual of all records; seen: records."""

    level: float
    day: list[float]
    day_hours: list[float]
    spread: list[float]
    week: list[float]
    week_hours: list[float]
    special: list[float]
    special_hours: list[float]
    luck: list[float]
    wide: float = 0.0
    seen: int = 0


class Place(msgspec.Struct, array_like=True, gc=False):
    """Where in the local calendar a record is: indices into the baseline's lists; hours: how much time it
    stands for."""

    slot: int
    week: int
    kind: int
    hours: float


class Normal(msgspec.Struct, array_like=True, gc=False):
    """What is expected: value, mean absolute deviation, and the parts it is made of."""

    value: float
    spread: float
    shape: float
    special: float
    luck: float


def new_baseline(value: float) -> Baseline:
    return Baseline(
        value, [0.0] * SLOTS, [0.0] * SLOTS, [0.0] * SLOTS, [0.0] * WEEK, [0.0] * WEEK,
        [0.0] * (2 * KINDS), [0.0] * KINDS, [0.0, 0.0, 1.0],
    )  # fmt: skip


@lru_cache(maxsize=4096)
def kind_of_day(calendar: Calendar, day: int) -> int:
    """What is special of a local day (since the epoch): HOLIDAY, PAYDAY and above, MONTH_END or NORMAL."""
    if day in calendar.holidays:
        return HOLIDAY
    if not calendar.paydays and not calendar.month_end:
        return NORMAL
    for back in range(min(calendar.payday_days, KINDS - PAYDAY)):
        if date.fromordinal(_EPOCH + day - back).day in calendar.paydays:
            return PAYDAY + back
    edges = (date.fromordinal(_EPOCH + day).day, date.fromordinal(_EPOCH + day + 1).day)
    return MONTH_END if calendar.month_end and 1 in edges else NORMAL


def place(at_ms: int, interval_ms: float, rules: SpikeRules) -> Place:
    local = at_ms + offset_ms(rules.calendar.zone, at_ms)
    day, inside = divmod(local, DAY_MS)
    return Place(
        inside * SLOTS // DAY_MS,
        (day + 3) % 7 * 24 + inside // HOUR_MS,
        kind_of_day(rules.calendar, day) if rules.counts else NORMAL,
        min(interval_ms / HOUR_MS, 1.0),
    )


def expected(base: Baseline, where: Place, rules: SpikeRules) -> Normal:
    """What is expected at that place."""
    shape = base.day[where.slot]
    if rules.weeks:
        hours = base.week_hours[where.week]
        shape += base.week[where.week] * hours / (hours + SHRINK)
    known = base.day_hours[where.slot] * 2.0
    spread = (known * base.spread[where.slot] + 4.0 * base.wide) / (known + 4.0)
    if not rules.counts:
        return Normal(base.level + shape, spread, shape, 1.0, 1.0)
    shape = max(shape + base.level, 0.0)
    special = 1.0
    if where.kind:
        hours = base.special_hours[where.kind]
        actual, due = base.special[2 * where.kind : 2 * where.kind + 2]
        special = _slope(actual, due, due / (hours + 1.0))
        spread += UNKNOWN * shape / (1.0 + hours / KNOWN_HOURS)
    actual, due, _ = base.luck
    luck = _slope(actual, due, due * 0.1)
    return Normal(luck * special * shape, spread, shape, special, luck)


def _slope(actual: float, due: float, belief: float) -> float:
    """Through the origin, shrunk to 1 with the weight ``belief``; 1 of nothing."""
    return (actual + belief) / (due + belief) if due + belief > 0 else 1.0


def learn(base: Baseline, where: Place, normal: Normal, residual: float, rules: SpikeRules) -> None:
    """The record was by ``residual`` above what was expected there."""
    base.seen += 1
    size = abs(residual)
    limit = CLIP * normal.spread
    # At first there is no deviation to clip by.
    if size > limit and base.seen > 50:
        residual = math.copysign(limit, residual)
        size = limit if base.seen > 400 else size
    base.wide += (size - base.wide) * max(1.0 / base.seen, 0.002)
    hours, slot = where.hours, where.slot
    known = base.day_hours[slot] = min(base.day_hours[slot] + hours, DAYS_KEPT / 2)
    base.spread[slot] += (size - base.spread[slot]) * hours / known
    if rules.counts:
        residual = _learn_factors(base, where, normal, residual, rules)
        if where.kind:
            return
    week_known = known >= WEEK_HOURS
    base.day[slot] += residual * hours / known * (0.5 if week_known else 1.0)
    if rules.weeks and week_known:
        known = base.week_hours[where.week] = min(base.week_hours[where.week] + hours, WEEKS_KEPT)
        base.week[where.week] += residual * hours / known * 0.7
    if not rules.counts:
        base.level += residual * max(hours / rules.level_hours, 1.0 / base.seen)


def _learn_factors(
    base: Baseline, where: Place, normal: Normal, residual: float, rules: SpikeRules
) -> float:
    """What the shape itself has to learn: the residual without luck and special."""
    hours, value = where.hours, normal.value + residual
    due, kind = normal.shape * normal.special, where.kind
    fade = math.exp(-hours / rules.level_hours)
    base.luck[0] = base.luck[0] * fade + due * value * hours
    base.luck[1] = base.luck[1] * fade + due * due * hours
    if kind:
        # The luck of a special day is part of what makes it special.
        fade = 1.0 - hours / SPECIAL_HOURS
        base.special_hours[kind] = base.special_hours[kind] * fade + hours
        due = normal.shape * base.luck[2]
        base.special[2 * kind] = base.special[2 * kind] * fade + due * value * hours
        base.special[2 * kind + 1] = base.special[2 * kind + 1] * fade + due * due * hours
    else:
        base.luck[2] += (normal.luck - base.luck[2]) * hours / LUCK_HOURS
    return residual / max(normal.luck * normal.special, 0.2)
