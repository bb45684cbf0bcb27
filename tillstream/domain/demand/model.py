"""Expected demand of one product in one store by weekday and hour, learnt as it sells.

One model for whoever asks: the shortage job's shelves keep it by the hour, the reorder point of every
shelf by the day, which is the same without the shares of hours (``DemandRules.hourly``).

Units of a day are negative binomial: Poisson around ``mean[weekday] * factor``, where ``factor``,
the luck of the day, is Gamma(spread, spread) with mean 1. Their hours are multinomial. All of it is
conjugate, so learning is counting:

- mean of a weekday = (units + w m) / (days + w): a gamma posterior, shrunk by ``w`` days to the mean
  ``m`` of all days. Old days fade by half each ``half_life_days`` (power discounting: Smith 1979,
  West and Harrison 1997, ch. 6).
- share of an hour = (units of its kind of day + w a) / (all units + w): a Dirichlet posterior, shrunk
  by ``w`` units to the share ``a`` of all days. Kinds of day: Monday to Friday, Saturday, Sunday.
- today's factor = (spread + sold) / (spread + expected): gamma posterior of the day so far, where an
  hour ago counts less than now.

What could not be sold teaches nothing (censored demand): hours marked absent add no exposure, and a
day without any sale that the model holds for impossible was a closed store, not a lack of demand,
unless it becomes a habit. By the day, one with an empty shelf teaches only that it was no less than
what it sold. A promotion multiplies what is expected, so its sales do not raise the normal level.

Time is an argument, ms since the epoch (UTC); days and hours are those of the clocks of ``zone``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec

from tillstream.domain.demand.counts import none_sold
from tillstream.domain.local_time import UTC, offset_ms

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_DAYS, _KINDS = 7, 3
# Units by weekday, days by weekday; where hours are kept, units by kind of day and hour.
_WEEK = struct.Struct(f"<{2 * _DAYS}f")
_HOURS = struct.Struct(f"<{2 * _DAYS + 24 * _KINDS}f")
_NOTHING = bytes(_HOURS.size)
ALL_DAY = 2**24 - 1  # every hour's bit
_OPEN = range(8, 20)  # what is believed of opening hours before anything is known


T = TypeVar("T")


class DemandRules(msgspec.Struct, frozen=True, gc=False):
    """How fast to learn. Days and units are weights of what is believed before.

    zone: by whose clocks days and hours are (IANA). half_life_days: after so long a day counts half.
    weekday_days: how many days the mean of all days is worth against a weekday's own. shape_units: how
    many units the hours of all days are worth against those of a kind of day. spread_days: how many days
    the first belief in ``spread`` is worth. factor_half_life_hours: how fast the luck of the day changes
    within it.
    first_units_a_day: what an unknown product is believed to sell, with the weight of half a day.
    hourly: whether the hours of the day are told apart.
    """

    zone: str = UTC
    half_life_days: float = 21.0
    weekday_days: float = 1.0
    shape_units: float = 60.0
    spread: float = 8.0
    spread_days: float = 15.0
    factor_half_life_hours: float = 3.0
    first_units_a_day: float = 1.0
    hourly: bool = True

    def at(self, zone: str) -> DemandRules:
        """The same by the clocks of ``zone``."""
        return msgspec.structs.replace(self, zone=zone)


class Demand(msgspec.Struct, array_like=True, gc=False):
    """What is known of one product in one store. About 420 bytes in a state codec, whatever it sells;
    by the day 110.

    day: the local day that is being counted, days since the epoch; -1 at first.
    hours: units sold in each hour of it so far, or in all of it. absent: bit h set where nothing could
    be sold.
    uplift: what promotions multiply the expected demand by now; uplift_before: until uplift_hour.
    excess, weight: of the spread of days. squares, units: of the size of a purchase.
    """

    day: int = -1
    hours: list[int] = []
    absent: int = 0
    uplift: float = 1.0
    uplift_before: float = 1.0
    uplift_hour: int = 0
    excess: float = 0.0
    weight: float = 0.0
    squares: float = 0.0
    units: float = 0.0
    sums: bytes = _NOTHING

    @property
    def days_known(self) -> float:
        """Days learnt from, old ones counting less: how far the model can be trusted."""
        return days_known(self.sums)


def new(rules: DemandRules, day: int = -1) -> Demand:
    """Of a product that nothing is known of."""
    if rules.hourly:
        return Demand(day=day, hours=[0] * 24)
    return Demand(day=day, hours=[0], sums=bytes(_WEEK.size))


def observe(
    demand: Demand | None, at_ms: int, units: int, rules: DemandRules, empty: bool = False
) -> Demand:
    """The demand after ``units`` were sold at ``at_ms``; negative ones take a sale back.

    Sales may come out of order; those of an earlier day add to what was learnt of its weekday.
    ``empty``: the shelf was, before this sale.
    """
    day, hour = local(at_ms, rules)
    if demand is None or not 0 <= day <= demand.day:
        demand = roll(demand, at_ms, rules, empty)
    if day == demand.day:
        hour = hour if rules.hourly else 0
        sold = demand.hours[hour] + units
        demand.hours[hour] = sold if sold > 0 else 0
    elif units > 0:
        _learn_late(demand, day, hour, units, rules)
    if units > 0:
        demand.squares += units * units
        demand.units += units
    return demand


def roll(demand: Demand | None, at_ms: int, rules: DemandRules, empty: bool = False) -> Demand:
    """The demand at ``at_ms``: days that are over have been learnt. Earlier times change nothing.
    ``empty``: the shelf was until now."""
    day, _ = local(at_ms, rules)
    if demand is None or demand.day < 0:
        return new(rules, day)
    if day > demand.day:
        _learn_days(demand, min(day, demand.day + 29), rules, empty)
        demand.day, demand.hours, demand.absent = day, [0] * len(demand.hours), 0
    return demand


def mark_absent(demand: Demand, from_ms: int, to_ms: int, rules: DemandRules) -> None:
    """The product could not be sold between these times: the hours of the day being counted that lie
    within by half or more teach nothing."""
    start, end = (at + offset_ms(rules.zone, at) - demand.day * DAY_MS for at in (from_ms, to_ms))
    first = max(-(-(start - HOUR_MS // 2) // HOUR_MS), 0)
    last = min((end - HOUR_MS // 2) // HOUR_MS, 23)
    for hour in range(first, last + 1):
        demand.absent |= 1 << hour


def set_uplift(demand: Demand, at_ms: int, uplift: float, rules: DemandRules) -> None:
    """From ``at_ms`` on promotions multiply the expected demand by ``uplift`` (1: none)."""
    if uplift != demand.uplift:
        day, hour = local(at_ms, rules)
        demand.uplift_before = demand.uplift
        demand.uplift_hour = hour if day == demand.day and rules.hourly else 0
        demand.uplift = uplift


def shift_hours(demand: Demand, by: int) -> None:
    """What was learnt by another zone's clock, ``by`` hours behind, is moved to the hours of this one."""
    table = list(_HOURS.unpack(demand.sums))
    for at in range(14, len(table), 24):
        table[at : at + 24] = shifted(table[at : at + 24], by)
    demand.sums = _HOURS.pack(*table)
    demand.hours = shifted(demand.hours, by)
    bits = shifted([demand.absent >> hour & 1 for hour in range(24)], by)
    demand.absent = sum(bit << hour for hour, bit in enumerate(bits))
    demand.uplift_hour = min(max(demand.uplift_hour + by, 0), 23) if demand.uplift_hour else 0


def shifted(by_hour: list[T], by: int) -> list[T]:
    """24 values, each ``by`` hours later."""
    return [by_hour[(hour - by) % 24] for hour in range(24)]


def local(at_ms: int, rules: DemandRules) -> tuple[int, int]:
    """(local day since the epoch, hour of it)."""
    day, ms = divmod(at_ms + offset_ms(rules.zone, at_ms), DAY_MS)
    return day, ms // HOUR_MS


def hour_end(at_ms: int, rules: DemandRules) -> int:
    """When the local hour of this time is over."""
    return at_ms - (at_ms + offset_ms(rules.zone, at_ms)) % HOUR_MS + HOUR_MS


def weekday(day: int) -> int:
    """0 is Monday; day 0 of the epoch was a Thursday."""
    return (day + 3) % 7


def rate(demand: Demand, day: int, hour: int, rules: DemandRules) -> float:
    """Units normally sold in this hour of this day, promotions included."""
    return profile(demand.sums, weekday(day), rules)[hour] * uplift_at(demand, day, hour)


def uplift_at(demand: Demand, day: int, hour: int) -> float:
    """What promotions multiply the demand of this hour by."""
    if (day, hour) < (demand.day, demand.uplift_hour):
        return demand.uplift_before
    return demand.uplift


def _kind(of_weekday: int) -> int:
    return max(of_weekday - 4, 0)


def lump_of(demand: Demand) -> float:
    """Units of a purchase as they act on a variance: sum of squares over sum, at least 1."""
    return max((demand.squares + 5.0) / (demand.units + 5.0), 1.0)


def day_spread(demand: Demand, rules: DemandRules) -> float:
    """Shape of a day's luck: 1 / shape = (variance beyond Poisson) / mean**2, by moments."""
    belief = rules.spread_days
    inverse = (belief / rules.spread + demand.excess) / (belief + demand.weight)
    return 1 / min(max(inverse, 0.005), 1.0)


def days_known(sums: bytes) -> float:
    """Days learnt from, as they still count."""
    return sum(_WEEK.unpack_from(sums)[7:])


def mean_of(table: Sequence[float], of_weekday: int, rules: DemandRules) -> float:
    """Units normally sold on this weekday; ``table`` begins with the week's sums."""
    return means_of(table, (of_weekday,), rules)[0]


def means_of(table: Sequence[float], weekdays: Iterable[int], rules: DemandRules) -> list[float]:
    """``mean_of`` each of these weekdays."""
    all_days = (sum(table[:7]) + 0.5 * rules.first_units_a_day) / (sum(table[7:14]) + 0.5)
    belief = rules.weekday_days
    return [(table[day] + belief * all_days) / (table[7 + day] + belief) for day in weekdays]


def week(demand: Demand) -> tuple[float, ...]:
    """Units by weekday, days by weekday."""
    return _WEEK.unpack_from(demand.sums)


@lru_cache(maxsize=16384)
def profile(sums: bytes, of_weekday: int, rules: DemandRules) -> tuple[float, ...]:
    """Units normally sold in each hour of this weekday. ``sums`` changes once a day."""
    table = _HOURS.unpack(sums)
    mean = mean_of(table, of_weekday, rules)
    kinds = [table[14 + 24 * k : 38 + 24 * k] for k in range(_KINDS)]
    everything = [
        sum(kind[h] for kind in kinds) + (1 / 14 if h in _OPEN else 1 / 84) for h in range(24)
    ]
    total = sum(everything)
    own = kinds[_kind(of_weekday)]
    weight = rules.shape_units
    below = sum(own) + weight
    return tuple(mean * (own[h] + weight * everything[h] / total) / below for h in range(24))


def _learn_days(demand: Demand, until: int, rules: DemandRules, empty: bool) -> None:
    """Takes the counted day into the sums, and the days before ``until``, on which nothing sold."""
    layout = _HOURS if rules.hourly else _WEEK
    table = list(layout.unpack(demand.sums))
    learn = _learn_hours if rules.hourly else _learn_day
    hours, absent = demand.hours, demand.absent
    quiet, quiet_absent = [0] * len(hours), ALL_DAY if empty else 0
    for day in range(demand.day, until):
        demand.day = day
        table = learn(demand, table, hours, absent, rules)
        hours, absent = quiet, quiet_absent
        demand.uplift_before, demand.uplift_hour = demand.uplift, 0
        if rules.hourly:
            demand.sums = layout.pack(*table)
    demand.sums = layout.pack(*table)


def _learn_day(
    demand: Demand, table: list[float], hours: list[int], absent: int, rules: DemandRules
) -> list[float]:
    """The table after the day, by the day."""
    whole = mean_of(table, weekday(demand.day), rules)
    expected, sold = whole * demand.uplift, hours[0]
    if absent and sold <= expected:
        fade = 0.5 ** (1 / rules.half_life_days)
        return [value * fade for value in table]
    return _learn(demand, table, whole, expected, sold, rules)[0]


def _learn_hours(
    demand: Demand, table: list[float], hours: list[int], absent: int, rules: DemandRules
) -> list[float]:
    """The table after the day, by the hour; ``demand.sums`` is the one before."""
    of_weekday = weekday(demand.day)
    normal = [rate(demand, demand.day, hour, rules) for hour in range(24)]
    open_hours = [hour for hour in range(24) if not absent >> hour & 1]
    table, taken = _learn(
        demand,
        table,
        mean_of(table, of_weekday, rules),
        sum(normal[hour] for hour in open_hours),
        sum(hours[hour] for hour in open_hours),
        rules,
    )
    if taken:
        at = 14 + 24 * _kind(of_weekday)
        for hour in range(24):
            table[at + hour] += normal[hour] if absent >> hour & 1 else hours[hour]
    return table


def _learn(
    demand: Demand, table: list[float], whole: float, expected: float, sold: int,
    rules: DemandRules,
) -> tuple[list[float], bool]:  # fmt: skip
    """The faded table with the day in it, and whether the day was one that teaches. ``whole``: units
    normally sold on such a day, of which ``expected`` could have been, and ``sold`` were."""
    on, known = weekday(demand.day), sum(table[7:14])
    fade = 0.5 ** (1 / rules.half_life_days)
    table = [value * fade for value in table]
    spread, lump = day_spread(demand, rules), lump_of(demand)
    usually_sells = sold == 0 and table[on] > 0.25 * expected
    if usually_sells and none_sold(expected / lump, spread) < 1e-3:
        table[7 + on] += 0.1  # a holiday; if it becomes a habit it is believed after all
        return table, False
    if expected <= 0.02 * whole:
        return table, False
    if known >= 7:  # before that the model's own ignorance would pass for the luck of days
        error = (sold - expected) ** 2 - lump * expected
        worth = min(expected / lump / spread, 1.0)  # a slow product's days say little of it
        demand.excess = demand.excess * fade + worth * min(error / expected**2, 4.0)
        demand.weight = demand.weight * fade + worth
    table[on] += sold
    table[7 + on] += expected / whole
    demand.squares *= fade
    demand.units *= fade
    return table, True


def _learn_late(demand: Demand, day: int, hour: int, units: int, rules: DemandRules) -> None:
    fade = 0.5 ** ((demand.day - day) / rules.half_life_days)
    layout = _HOURS if rules.hourly else _WEEK
    table = list(layout.unpack(demand.sums))
    table[weekday(day)] += units * fade
    if rules.hourly:
        table[14 + 24 * _kind(weekday(day)) + hour] += units * fade
    demand.sums = layout.pack(*table)
