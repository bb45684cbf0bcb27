"""Payments that a grocer's tills might make in a year, by region and method, and what the detector finds.

Counts in windows of five minutes. The truth has weekdays, hours, wages on the 25th and at the month's end,
public holidays (of South Africa, 2027), growth, the luck of a day and an hour, and Poisson noise. Its hours
are bumps, its weekends have others, its luck is lognormal and jumps at midnight and each hour, and holidays
shift the hours, none of which the detector knows. But its parts multiply, as the detector's do, and the
calendar is the same.
"""

from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from benchmarks.spikes.chance import bump, poisson, remembering
from tillstream.domain.spikes import detector
from tillstream.domain.spikes.detector import Point, Watch
from tillstream.domain.spikes.rules import Calendar, SpikeRules, payment_rules

WINDOW_MS, A_DAY = 300_000, 288
FIRST = date(2027, 1, 4)
LEARN_DAYS = 42  # of a series before anything is counted or planted
HOLIDAYS = tuple(
    date(2027, month, day)
    for month, day in (
        (1, 1), (3, 22), (3, 26), (3, 29), (4, 27), (5, 1), (6, 16), (8, 9), (9, 24), (12, 16),
        (12, 25), (12, 27),
    )
)  # fmt: skip
FACTORS = (5.0, 3.0, 2.0, 0.3, 0.1, 0.0)
LASTS = 24  # windows that something planted lasts


class Kind(NamedTuple):
    """A series: its mean count in a window by day, and how its days differ."""

    name: str
    mean: float
    luck: float


KINDS = (
    Kind("Gauteng, card", 400.0, 0.05),
    Kind("Western Cape, card", 120.0, 0.06),
    Kind("Limpopo, card", 30.0, 0.08),
    Kind("Northern Cape, wallet", 5.0, 0.10),
)


def epoch_day(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def rules(false_alarms_a_year: float) -> SpikeRules:
    calendar = Calendar(
        zone="Africa/Johannesburg", paydays=(25,), payday_days=3, month_end=True,
        holidays=frozenset(map(epoch_day, HOLIDAYS)),
    )  # fmt: skip
    return payment_rules(calendar, false_alarms_a_year, WINDOW_MS)


def counts(kind: Kind, days: int, seed: int) -> Iterator[Point]:
    """A record for each window of so many days from FIRST."""
    chance = Random(f"{seed}/{kind.name}")
    hours = remembering(chance, days * 24, 0.7, 0.04)
    growth = chance.uniform(0.0, 0.25)
    start = int(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC).timestamp() * 1000)
    for number in range(days):
        day = FIRST + timedelta(days=number)
        factor = _of_day(day) * math.exp(growth * number / 365 + chance.gauss(0, kind.luck))
        late = 1.5 if day in HOLIDAYS else 0.0
        for window in range(A_DAY):
            hour = window / 12
            shape = bump(hour, 12.5 + late, 2.5) + 1.1 * bump(hour, 17.5, 1.8) + 0.01
            if day.weekday() >= 5:
                shape = 1.3 * bump(hour, 11.5 + late, 3) + 0.01
            rate = kind.mean * factor * shape * math.exp(hours[number * 24 + window // 12])
            at_ms = start + (number * A_DAY + window) * WINDOW_MS - 2 * 3_600_000
            yield Point(at_ms, float(poisson(chance, rate)))


def _of_day(day: date) -> float:
    factor = (0.9, 0.88, 0.92, 1.0, 1.25, 1.4, 0.95)[day.weekday()]
    for back, uplift in enumerate((1.45, 1.3, 1.12)):
        factor *= uplift if (day - timedelta(days=back)).day == 25 else 1.0
    if (day + timedelta(days=1)).day == 1 or day.day == 1:
        factor *= 1.3
    return factor * (0.6 if day in HOLIDAYS else 1.0)


def measure(seed: int, days: int, false_alarms_a_year: float, plants: int) -> list[dict[str, Any]]:
    """A row for each kind of series: false alarms in a year, and delays by factor. Something is planted in a
    copy of the detector at random times from 8:00 to 18:00, ``plants`` times for each factor."""
    return [_measured(kind, seed, days, rules(false_alarms_a_year), plants) for kind in KINDS]


def _measured(kind: Kind, seed: int, days: int, judging: SpikeRules, plants: int) -> dict[str, Any]:
    chance = Random(f"{seed}/{kind.name}/plants")
    points = list(counts(kind, days, seed))
    at = {
        chance.randrange(LEARN_DAYS, days - 1) * A_DAY + chance.randrange(8 * 12, 18 * 12)
        for _ in range(plants)
    }
    watch: Watch | None = None
    alarms = 0
    delays: dict[float, list[float]] = {factor: [] for factor in FACTORS}
    for index, point in enumerate(points):
        if index in at and watch is not None:
            for factor in FACTORS:
                coming = points[index : index + LASTS]
                delays[factor].append(_delay(copy.deepcopy(watch), coming, factor, chance, judging))
        watch, found, _ = detector.observe(watch, point, judging)
        alarms += len(found) if index >= LEARN_DAYS * A_DAY else 0
    years = (days - LEARN_DAYS) / 365
    return {
        "series": kind.name,
        "mean_count": kind.mean,
        "years": round(years, 2),
        "false_alarms": alarms,
        "false_alarms_a_year": round(alarms / years, 1),
        "planted": {str(factor): _summary(found) for factor, found in delays.items()},
    }


def _delay(
    watch: Watch, coming: list[Point], factor: float, chance: Random, judging: SpikeRules
) -> float:
    """Minutes from the change to the end of the first window that is found; infinite if none is."""
    for number, point in enumerate(coming, 1):
        if factor <= 1:
            value = float(sum(chance.random() < factor for _ in range(int(point.value))))
        else:
            value = point.value + poisson(chance, (factor - 1) * point.value)
        watch, found, _ = detector.observe(watch, Point(point.at_ms, value), judging)
        if any(one.way == (detector.SPIKE if factor > 1 else detector.COLLAPSE) for one in found):
            return number * WINDOW_MS / 60_000
    return math.inf


def _summary(delays: list[float]) -> dict[str, Any]:
    """Of how many, the share found within LASTS windows, and the median minutes of all; None: not found."""
    median = statistics.median(delays) if delays else math.inf
    return {
        "count": len(delays),
        "found": round(sum(map(math.isfinite, delays)) / max(len(delays), 1), 3),
        "median_minutes": median if math.isfinite(median) else None,
    }
