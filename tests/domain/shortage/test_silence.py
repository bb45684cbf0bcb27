"""How often a full shelf is called empty, and how soon an empty one is found: as stated."""

from __future__ import annotations

import math
from random import Random

import pytest

from tillstream.domain.shortage.silence import (
    Appeal,
    SilenceRules,
    alpha,
    end_day,
    new_appeal,
    share,
    silence,
    sold,
)


class Till:
    """A store of ``baskets`` a day between 8 and 18, a share ``p`` of which hold the product; days
    differ by a factor of Gamma(spread, spread)."""

    def __init__(self, p: float, baskets: int, rules: SilenceRules, spread: float = 0.0):
        self.p, self.baskets, self.rules, self.spread = p, baskets, rules, spread
        self.chance = Random(20_251_124)
        self.appeal: Appeal = new_appeal()

    def day(self, empty_after: int | None = None) -> list[int]:
        """Numbers of the baskets at which an alarm went; each silence has one alarm at most."""
        luck = self.chance.gammavariate(self.spread, 1 / self.spread) if self.spread else 1.0
        alarms, fired, counts = [], False, [0] * 24
        limit = alpha(self.appeal, self.rules)
        for n in range(self.baskets):
            hour = 8 + n * 10 // self.baskets
            counts[hour] += 1
            wants = self.chance.random() < self.p * luck
            if wants and (empty_after is None or n <= empty_after):
                sold(self.appeal, counts, hour, self.rules)
                fired = False
            elif not fired and silence(self.appeal, counts, self.rules)[0] <= limit:
                alarms.append(n)
                fired = True
        end_day(self.appeal, counts, self.rules)
        return alarms


@pytest.mark.parametrize(
    ("p", "baskets", "spread"), [(0.3, 60, 0), (0.1, 200, 0), (0.02, 600, 0), (0.3, 60, 40)]
)
def test_a_full_shelf_is_called_empty_no_more_often_than_stated(p, baskets, spread):
    till = Till(p, baskets, SilenceRules(false_alarms_a_year=146), spread)
    for _ in range(30):
        till.day()
    days = 400
    alarms = sum(len(till.day()) for _ in range(days))
    stated = 146 / 365 * days
    assert 0.2 * stated < alarms < stated


@pytest.mark.parametrize(("p", "baskets"), [(0.3, 100), (0.1, 200), (0.02, 1_500)])
def test_an_empty_shelf_is_found_about_as_soon_as_any_test_could(p, baskets):
    rules = SilenceRules()
    till = Till(p, baskets, rules)
    for _ in range(40):
        till.day()
    ratios = []
    for _ in range(60):
        limit = alpha(till.appeal, rules)
        last = baskets // 5
        # The shelf empties with a sale: the first basket after this moment that wants some.
        before = till.chance.getstate()
        twin = Till(p, baskets, rules)
        twin.chance.setstate(before)
        twin.appeal.sums, twin.appeal.days = till.appeal.sums, till.appeal.days
        alarms = [n for n in twin.day(empty_after=last) if n > last]
        till.day()
        floor = -math.log(limit) / p
        if alarms:
            ratios.append((alarms[0] - last) / floor)
    assert len(ratios) > 50
    assert sorted(ratios)[len(ratios) // 2] < 1.1


def test_the_share_of_each_hour_is_learnt():
    rules = SilenceRules()
    appeal = new_appeal()
    for _ in range(60):
        counts = [0] * 24
        for hour, held in ((9, 40), (15, 10)):
            for n in range(100):
                counts[hour] += 1
                if n < held:
                    sold(appeal, counts, hour, rules)
        end_day(appeal, counts, rules)
    assert share(appeal, 9, rules) == pytest.approx(0.4, abs=0.03)
    assert share(appeal, 15, rules) == pytest.approx(0.1, abs=0.03)


def test_hours_without_goods_and_days_of_promotion_teach_nothing():
    rules = SilenceRules()
    taught, spared = new_appeal(), new_appeal()
    counts = [0] * 9 + [100] * 9 + [0] * 6
    for appeal in (taught, spared):
        for hour in range(9, 18):
            for _ in range(30):
                sold(appeal, counts, hour, rules)
        end_day(appeal, counts, rules)
    end_day(spared, counts, rules, absent=0b1_1111_1111 << 9)
    for _ in range(90):
        sold(spared, counts, 9, rules)
    end_day(spared, counts, rules, learn=False)
    assert share(spared, 12, rules) == pytest.approx(share(taught, 12, rules), rel=0.02)


def test_nothing_is_an_alarm_before_a_week_is_known():
    assert alpha(new_appeal(), SilenceRules()) == 0.0
