"""What is normal at a time: hours, weekdays, paydays and holidays, and how rare a number is."""

from __future__ import annotations

import math
from datetime import date
from random import Random

import pytest

from tillstream.domain.spikes import baseline, tails
from tillstream.domain.spikes.rules import (
    HOLIDAY,
    MONTH_END,
    NORMAL,
    PAYDAY,
    Calendar,
    SpikeRules,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WAGES = Calendar(
    "Africa/Johannesburg", paydays=(25,), payday_days=3, month_end=True,
    holidays=frozenset({(date(2027, 3, 26) - date(1970, 1, 1)).days}),
)  # fmt: skip


def day(*ymd: int) -> int:
    return (date(*ymd) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ((2027, 2, 24), NORMAL),
        ((2027, 2, 25), PAYDAY),
        ((2027, 2, 27), PAYDAY + 2),
        ((2027, 2, 28), MONTH_END),
        ((2027, 3, 1), MONTH_END),
        ((2027, 3, 2), NORMAL),
        ((2027, 3, 26), HOLIDAY),
    ],
)
def test_days_have_the_kind_that_the_calendar_gives_them(when, kind):
    assert baseline.kind_of_day(WAGES, day(*when)) == kind


def test_hours_and_weekdays_are_those_of_the_zone():
    rules = SpikeRules(calendar=WAGES, counts=True)
    at = day(2027, 2, 24) * DAY_MS + 23 * HOUR_MS  # Thursday 25th, 01:00 in Johannesburg
    where = baseline.place(at, HOUR_MS, rules)
    assert (where.slot, where.week, where.kind) == (2, 3 * 24 + 1, PAYDAY)


def learnt(amount_of_day, days: int, rules: SpikeRules) -> baseline.Baseline:
    """After so many days of this amount in each hour."""
    base = baseline.new_baseline(0.0)
    for number in range(days):
        for hour in range(24):
            at = (day(2027, 1, 4) + number) * DAY_MS + hour * HOUR_MS
            where = baseline.place(at, HOUR_MS, rules)
            normal = baseline.expected(base, where, rules)
            baseline.learn(base, where, normal, amount_of_day(number, hour) - normal.value, rules)
    return base


def at_hour(base: baseline.Baseline, number: int, hour: int, rules: SpikeRules) -> float:
    at = (day(2027, 1, 4) + number) * DAY_MS + hour * HOUR_MS
    return baseline.expected(base, baseline.place(at, HOUR_MS, rules), rules).value


def test_an_hour_and_a_weekday_are_learnt():
    rules = SpikeRules()

    def amount(number, hour):
        return 10.0 + hour + (20 if number % 7 == 5 and hour == 12 else 0)

    base = learnt(amount, 70, rules)
    assert at_hour(base, 70, 20, rules) - at_hour(base, 70, 4, rules) == pytest.approx(16, abs=2)
    saturday = at_hour(base, 75, 12, rules) - at_hour(base, 74, 12, rules)
    assert 8 < saturday < 22  # one hour a week is learnt slowly: it could be an anomaly


def test_a_payday_is_expected_once_some_were_seen():
    rules = SpikeRules(calendar=Calendar(paydays=(25,)), counts=True, level_hours=3.0)
    chance = Random(5)

    def amount(number, hour):
        paid = date.fromordinal(date(2027, 1, 4).toordinal() + number).day == 25
        return chance.gauss(1, 0.05) * (20.0 + hour) * (1.5 if paid else 1.0)

    base = learnt(amount, 111, rules)  # up to the 24th of April
    assert at_hour(base, 111, 12, rules) == pytest.approx(48, rel=0.1)
    assert at_hour(base, 112, 12, rules) == pytest.approx(32, rel=0.1)


def test_a_number_is_as_rare_as_those_before_it_were():
    chance = Random(3)
    tail = tails.new_tail()
    for total in range(1, 20_001):
        tails.learn(tail, math.log2(chance.random() ** -0.5), total)
    for probability in (0.01, 0.001, 0.0001, 0.000_001):
        rare = tails.rarity(tail, math.log2(probability**-0.5), 20_000)
        assert rare == pytest.approx(-math.log10(probability), rel=0.15)


def test_a_light_tail_finds_far_numbers_rarer():
    chance = Random(3)
    tail = tails.new_tail()
    for total in range(1, 20_001):
        tails.learn(tail, math.log2(chance.expovariate(1)), total, light=True)
    for far in (7.0, 9.0, 14.0):
        rare = tails.rarity(tail, math.log2(far), 20_000, light=True)
        assert rare == pytest.approx(far * math.log10(math.e), rel=0.2)


def test_what_was_seen_often_is_no_rarity():
    tail = tails.new_tail()
    for total in range(1, 1001):
        tails.learn(tail, 2.0, total)
    assert tails.rarity(tail, 2.0, 1000) < 0.1
    tails.forget(tail)
    assert sum(tail.seen) == 500
