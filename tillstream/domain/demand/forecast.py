"""What will be asked for, by what demand.py has learnt: units of an interval, of a day, and until when.

Today's luck is judged by the day so far; each coming day's is its own. Formulas: demand.py, counts.py.
"""

from __future__ import annotations

from typing import NamedTuple

from tillstream.domain.demand.counts import negative_binomial_tail, waiting_quantile
from tillstream.domain.demand.model import (
    DAY_MS,
    HOUR_MS,
    Demand,
    DemandRules,
    day_spread,
    hour_end,
    local,
    lump_of,
    means_of,
    profile,
    rate,
    uplift_at,
    week,
    weekday,
)


class Forecast(NamedTuple):
    """Units expected to sell in an interval, and their variance."""

    mean: float
    variance: float

    def is_covered_by(self, units: int) -> bool:
        """Whether Cantelli's inequality puts the probability that so many are asked for below 0.05; then
        it does so for each forecast of less mean and variance, too."""
        return self.variance < 0.05 * (self.variance + max(units - self.mean, 0.0) ** 2)

    def at_least(self, units: int) -> float:
        """Probability that so many are asked for; 0 where it is small (``is_covered_by``)."""
        if self.is_covered_by(units):
            return 0.0
        spread = max(self.variance - self.mean, self.mean * self.mean * 1e-9)
        return negative_binomial_tail(units, self.mean, self.mean * self.mean / max(spread, 1e-12))


class RunOut(NamedTuple):
    """When stock will have sold: the median and an 80 % interval, ms since the epoch; None: not within
    the horizon. factor: today's demand against the normal."""

    early_ms: int | None
    median_ms: int | None
    late_ms: int | None
    factor: float


class Today(NamedTuple):
    """The luck of the day: its mean, and the shape of the gamma it is known by."""

    factor: float
    shape: float


def forecast(demand: Demand, from_ms: int, to_ms: int, rules: DemandRules) -> Forecast:
    """Units expected between two times, in the light of today's sales so far.

    Costs microseconds for each day of the interval; a caller with many events keeps the answer for
    an hour. The luck of each coming day is its own.
    """
    luck = today(demand, from_ms, rules)
    lump = lump_of(demand)
    spread = day_spread(demand, rules)
    mean = variance = 0.0
    for at_day, units in _by_day(demand, from_ms, to_ms, rules):
        of_today = at_day == demand.day
        expected = units * (luck.factor if of_today else 1.0)
        mean += expected
        variance += expected * lump + expected**2 / (luck.shape if of_today else spread)
    return Forecast(mean, variance)


def run_out(
    demand: Demand, at_ms: int, stock: int, rules: DemandRules, horizon_ms: int = 2 * DAY_MS
) -> RunOut:
    """When ``stock`` units on the shelf at ``at_ms`` will have sold, if demand goes on as it does.

    Units to pass, in expected units, are ``stock * F(2n, 2 shape)`` with n purchases in the stock;
    the clock comes from the hours of the days ahead. The median is nobody's mean: half of such days
    run out before it.
    """
    luck = today(demand, at_ms, rules)
    events = stock / lump_of(demand)
    goals = [stock * waiting_quantile(events, luck.shape, p) for p in (0.1, 0.5, 0.9)]
    found: list[int | None] = [None, None, None]
    passed, waiting = 0.0, 0
    start, end = at_ms, at_ms + horizon_ms
    while waiting < 3 and start < end:
        day, hour = local(start, rules)
        stop = min(hour_end(start, rules), end)
        normal = rate(demand, day, hour, rules)
        now = normal * (luck.factor if day == demand.day else 1.0)
        units = now * (stop - start) / HOUR_MS
        while waiting < 3 and passed + units >= goals[waiting]:
            part = (goals[waiting] - passed) / units if units > 0 else 0.0
            found[waiting] = start + round(part * (stop - start))
            waiting += 1
        passed += units
        start = stop
    return RunOut(found[0], found[1], found[2], luck.factor)


def today(demand: Demand, at_ms: int, rules: DemandRules) -> Today:
    """Today's demand against the normal, from what was sold and what was expected until now. Within an
    hour without a sale the factor only falls, and the shape stays."""
    spread = day_spread(demand, rules)
    day, now = local(at_ms, rules)
    if day != demand.day:
        return Today(1.0, spread)
    part = (HOUR_MS - hour_end(at_ms, rules) + at_ms) / HOUR_MS
    fade = 0.5 ** (1 / rules.factor_half_life_hours)
    normal = profile(demand.sums, weekday(day), rules)
    sold = expected = 0.0
    hours, absent = demand.hours, demand.absent
    before, after, changed = demand.uplift_before, demand.uplift, demand.uplift_hour
    for hour in range(now + 1):
        sold, expected = sold * fade, expected * fade
        if not absent >> hour & 1:
            sold += hours[hour]
            uplift = after if hour >= changed else before
            expected += normal[hour] * uplift * (part if hour == now else 1.0)
    lump = lump_of(demand)
    return Today((spread + sold / lump) / (spread + expected / lump), spread + sold / lump)


def of_a_day(demand: Demand, days: int, uplift: float, rules: DemandRules) -> Forecast:
    """Units of one day and their variance: the mean of the busier ``days`` (1 to 28) in a row, those
    that begin today or tomorrow. ``uplift``: by which promotions multiply them then."""
    table, first = week(demand), weekday(demand.day)
    ahead = means_of(table, [(first + n) % 7 for n in range(days + 1)], rules)
    mean = uplift * (sum(ahead) - min(ahead[0], ahead[-1])) / days
    return Forecast(mean, mean * lump_of(demand) + mean * mean / day_spread(demand, rules))


def normal_units(demand: Demand, from_ms: int, to_ms: int, rules: DemandRules) -> float:
    """Units normally sold between two times: without today's luck, with promotions."""
    return sum(units for _, units in _by_day(demand, from_ms, to_ms, rules))


def _by_day(
    demand: Demand, from_ms: int, to_ms: int, rules: DemandRules
) -> list[tuple[int, float]]:
    """(day, units normally sold in the part of it that lies between the two times)."""
    out: list[tuple[int, float]] = []
    start, end = from_ms, hour_end(from_ms, rules)
    known, units = -1, 0.0
    normal: tuple[float, ...] = ()
    while start < to_ms:
        day, hour = local(start, rules)  # a day on which clocks change has 23 hours or 25
        if day != known:
            if normal:
                out.append((known, units))
            known, units, normal = day, 0.0, profile(demand.sums, weekday(day), rules)
        stop = min(end, to_ms)
        units += normal[hour] * uplift_at(demand, day, hour) * (stop - start) / HOUR_MS
        start, end = stop, end + HOUR_MS
    if normal:
        out.append((known, units))
    return out
