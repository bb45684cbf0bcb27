"""The shelf nobody reported: too many customers in a row who did not buy what they usually buy.

The clock is the store's own baskets, not the wall's. If ``p`` of the baskets hold the product, the
chance that the next ``n`` do not is ``(1 - p)**n``: each basket without it is a piece of evidence of
weight ``-ln(1 - p)``. So a store that is closed, offline, late or quiet has no clock and raises no
alarm, holidays and opening hours need no calendar, and a busy day is seen sooner.

``p`` by hour of the day is learnt (beta posterior, shrunk to the mean of all hours, old days fading).
It differs between days: its evidence is multiplied by ``factor ~ Gamma(spread, spread)``, of which
today's baskets up to the last sale have told something. After ``shape`` and ``rate`` of that
posterior, a silence of weight ``s`` has the probability

    P(silence | goods on the shelf) = (1 + s / rate) ** -shape

and the alarm goes when it falls to ``alpha``. That is a sequential test in which each sale begins
anew: of all the silences of a full shelf a share ``alpha`` is a false alarm, for a silence ends in one
exactly if it would have grown so long. An empty shelf is found after ``-ln(alpha)`` expected sales if
``p`` is known and small; this is the floor, for any test that is faster must cry wolf more often
(Wald 1945: with no sale at all the likelihood ratio is the silence's probability itself). Where ``p``
is large the weights ``-ln(1 - p) > p`` beat that floor, for customers carry more than a clock does.

``alpha`` follows from a budget of false alarms by the calendar, budget / silences a day, of which
``margin`` is used.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from tillstream.domain.demand.model import shifted

_LAYOUT = struct.Struct("<48f")  # baskets with the product, and all baskets, by hour of the day
_NOTHING = _LAYOUT.pack(*[0.0] * 48)
_MOST = 0.95  # nothing is in every basket


class SilenceRules(msgspec.Struct, frozen=True, gc=False):
    """half_life_days: how fast old days fade. hour_baskets: how many baskets the mean of all hours is
    worth against an hour's own. spread, spread_days: first belief in how alike days are, and its
    weight in days. false_alarms_a_year: for one product in one store whose shelf is never empty.
    margin: the part of that budget which is used, for what is stated must hold where a store's habits
    change faster than they are learnt, too.
    least_days: days learnt before there is an alarm at all."""

    half_life_days: float = 40.0
    hour_baskets: float = 200.0
    spread: float = 20.0
    spread_days: float = 30.0
    false_alarms_a_year: float = 4.0
    margin: float = 0.7
    least_days: float = 7.0


class Appeal(msgspec.Struct, array_like=True, gc=False):
    """How often the baskets of a store hold a product, and how long it has been since one did.

    hours: today's baskets with it, by hour. since_hour, since_baskets: at the last sale, the hour and
    how many baskets it had had. shape, rate: what was known of the factor then; 0: nothing yet.
    carried, carried_baskets: weight and length of a silence in the days before today.
    """

    hours: list[int] = []
    since_hour: int = 0
    since_baskets: int = 0
    shape: float = 0.0
    rate: float = 0.0
    carried: float = 0.0
    carried_baskets: int = 0
    days: float = 0.0
    excess: float = 0.0
    weight: float = 0.0
    sums: bytes = _NOTHING


def new_appeal() -> Appeal:
    return Appeal(hours=[0] * 24)


def sold(
    appeal: Appeal, baskets: Sequence[int], hour: int, rules: SilenceRules, absent: int = 0
) -> None:
    """A basket of this ``hour`` holds the product; ``baskets``: the store's today by hour, this one
    included. ``absent``: hours (bits) in which there was none to buy."""
    appeal.hours[hour] += 1
    start_again(appeal, baskets, hour, rules, absent)


def start_again(
    appeal: Appeal, baskets: Sequence[int], hour: int, rules: SilenceRules, absent: int = 0
) -> None:
    """A silence begins now: the shelf is known to hold goods."""
    spread = _spread(appeal, rules)
    # Against the sales count expected sales, p a basket, not its weight: the baskets with the product
    # are in it too, and both agree where today is as all days are.
    shares = _shares(appeal.sums, rules)
    due = math.fsum([baskets[h] * shares[h] for h in range(24) if not absent >> h & 1])
    appeal.shape = spread + sum(appeal.hours)
    appeal.rate = spread + due
    appeal.since_hour, appeal.since_baskets = hour, baskets[hour]
    appeal.carried, appeal.carried_baskets = 0.0, 0


def silence(appeal: Appeal, baskets: Sequence[int], rules: SilenceRules) -> tuple[float, int]:
    """(P(so long a silence | goods on the shelf), baskets since the last one with the product)."""
    weight, count = _since(appeal, baskets, _weights(appeal.sums, rules))
    shape, rate = _factor(appeal, rules)
    return math.exp(-shape * math.log1p(weight / rate)), count


def patience(appeal: Appeal, baskets: Sequence[int], at_alpha: float, rules: SilenceRules) -> int:
    """So many more baskets, of whatever hours today, leave the silence more probable than ``at_alpha``,
    if it is that now."""
    weights = _weights(appeal.sums, rules)
    weight, _ = _since(appeal, baskets, weights)
    shape, rate = _factor(appeal, rules)
    # An alpha of 0 is never reached; the share of a billionth is for rounding.
    needed = rate * math.expm1(-math.log(max(at_alpha, 1e-300)) / shape)
    return int((needed * (1 - 1e-9) - weight) / max(weights))


def _since(appeal: Appeal, baskets: Sequence[int], weights: Sequence[float]) -> tuple[float, int]:
    """Weight and length of the silence since the last sale."""
    first = appeal.since_hour
    new = baskets[first] - appeal.since_baskets
    count, weight = appeal.carried_baskets + new, appeal.carried + new * weights[first]
    for hour in range(first + 1, 24):
        count += baskets[hour]
        weight += baskets[hour] * weights[hour]
    return weight, count


def alpha(appeal: Appeal, rules: SilenceRules) -> float:
    """Probability at which a silence is an alarm; 0 while too little is known for any."""
    return stated_alpha(appeal, rules) * rules.margin


def stated_alpha(appeal: Appeal, rules: SilenceRules) -> float:
    """Share of a full shelf's silences that may be false alarms, by the budget."""
    if appeal.days < rules.least_days:
        return 0.0
    silences_a_day = sum(_LAYOUT.unpack(appeal.sums)[:24]) / appeal.days + 1.0
    return min(rules.false_alarms_a_year / 365 / silences_a_day, 0.05)


def end_day(
    appeal: Appeal, baskets: Sequence[int], rules: SilenceRules, absent: int = 0,
    learn: bool = True,
) -> None:  # fmt: skip
    """The day is over; it is learnt unless ``learn`` is false, as for a day of promotion, whose sales
    would make every later day look silent."""
    weights = _weights(appeal.sums, rules)
    _carry(appeal, baskets, weights, rules)
    fade = 0.5 ** (1 / rules.half_life_days)
    table = [value * fade for value in _LAYOUT.unpack(appeal.sums)]
    seen: list[int] = [0 if absent >> hour & 1 else baskets[hour] for hour in range(24)]
    total = sum(seen)
    if learn and total:
        bought = float(sum(n for hour, n in enumerate(appeal.hours) if seen[hour]))
        shares = _shares(appeal.sums, rules)
        expected = math.fsum([n * p for n, p in zip(seen, shares, strict=True)])
        if appeal.days >= rules.least_days and expected > 1:
            p = expected / total
            error = (bought - expected) ** 2 - expected * (1 - p)
            worth = min(expected / rules.spread, 1.0)
            appeal.excess = appeal.excess * fade + worth * min(error / expected**2, 1.0)
            appeal.weight = appeal.weight * fade + worth
        for hour in range(24):
            table[hour] += appeal.hours[hour] if seen[hour] else 0
            table[24 + hour] += seen[hour]
        appeal.days = appeal.days * fade + total / sum(baskets)
    appeal.sums = _LAYOUT.pack(*table)
    appeal.hours = [0] * 24
    appeal.since_hour = appeal.since_baskets = 0


def _carry(
    appeal: Appeal, baskets: Sequence[int], weights: Sequence[float], rules: SilenceRules
) -> None:
    """Whether the silence goes on tomorrow. What one day can tell begins anew, for the night fills
    shelves; what sells too little for that is judged over several days."""
    needed = alpha(appeal, rules)
    in_a_day = math.fsum(n * w for n, w in zip(baskets, weights, strict=True))
    if needed and in_a_day < -2 * math.log(needed):
        appeal.carried, appeal.carried_baskets = _since(appeal, baskets, weights)
    else:
        appeal.carried, appeal.carried_baskets = 0.0, 0
        appeal.shape = appeal.rate = 0.0


def shift_hours(appeal: Appeal, by: int) -> None:
    """What was learnt by another zone's clock, ``by`` hours behind, is moved to the hours of this one."""
    table = list(_LAYOUT.unpack(appeal.sums))
    appeal.sums = _LAYOUT.pack(*shifted(table[:24], by), *shifted(table[24:], by))
    appeal.hours = shifted(appeal.hours, by)
    appeal.since_hour = (appeal.since_hour + by) % 24


def share(appeal: Appeal, hour: int, rules: SilenceRules) -> float:
    """Share of the baskets of this hour that normally hold the product."""
    return _shares(appeal.sums, rules)[hour]


def _factor(appeal: Appeal, rules: SilenceRules) -> tuple[float, float]:
    """Shape and rate of what is known of today's factor."""
    if appeal.rate:
        return appeal.shape, appeal.rate
    spread = _spread(appeal, rules)
    return spread, spread


def _spread(appeal: Appeal, rules: SilenceRules) -> float:
    """Shape of the gamma from which a day takes its factor, by moments."""
    inverse = (rules.spread_days / rules.spread + appeal.excess) / (
        rules.spread_days + appeal.weight
    )
    return 1 / min(max(inverse, 0.002), 1.0)


@lru_cache(maxsize=16384)
def _weights(sums: bytes, rules: SilenceRules) -> tuple[float, ...]:
    """Evidence of one basket without the product, by hour. ``sums`` changes once a day."""
    table = _LAYOUT.unpack(sums)
    mean = (sum(table[:24]) + 0.1) / (sum(table[24:]) + 10.0)
    belief = rules.hour_baskets
    return tuple(
        -math.log1p(-min((table[h] + belief * mean) / (table[24 + h] + belief), _MOST))
        for h in range(24)
    )


@lru_cache(maxsize=16384)
def _shares(sums: bytes, rules: SilenceRules) -> tuple[float, ...]:
    """Share of the baskets that hold the product, by hour."""
    return tuple(-math.expm1(-weight) for weight in _weights(sums, rules))
