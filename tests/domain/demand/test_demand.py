"""What is learnt of a product's demand: by weekday and hour, without days that teach nothing."""

from __future__ import annotations

import copy
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tillstream.domain.demand.forecast import (
    forecast,
    normal_units,
    of_a_day,
    run_out,
    today,
)
from tillstream.domain.demand.model import (
    ALL_DAY,
    DAY_MS,
    HOUR_MS,
    Demand,
    DemandRules,
    day_spread,
    mark_absent,
    mean_of,
    observe,
    roll,
    set_uplift,
    week,
)

RULES = DemandRules()
MONDAY = 20_416 * DAY_MS
HOURS = {9: 0.1, 10: 0.3, 11: 0.2, 15: 0.1, 17: 0.3}


def poisson(chance: Random, mean: float) -> int:
    n, left = 0, mean
    while (left := left - chance.expovariate(1)) > 0:
        n += 1
    return n


def taught(days: int = 56, weekday: int = 40, saturday: int = 120, seed: int = 1) -> Demand:
    """A shop that knows its bread: so many units a day, Saturdays more, Sundays closed."""
    chance = Random(seed)
    demand = None
    for n in range(days):
        mean = (weekday, weekday, weekday, weekday, weekday, saturday, 0)[n % 7]
        for hour, share in HOURS.items():
            for _ in range(poisson(chance, mean * share)):
                at = MONDAY - (days - n) * DAY_MS + hour * HOUR_MS + chance.randrange(HOUR_MS)
                demand = observe(demand, at, 1, RULES)
    assert demand is not None
    return roll(demand, MONDAY, RULES)


def of_day(demand: Demand, days_ahead: int) -> float:
    start = MONDAY + days_ahead * DAY_MS
    return normal_units(demand, start, start + DAY_MS, RULES)


def test_weekdays_and_hours_are_learnt():
    demand = taught()
    assert of_day(demand, 0) == pytest.approx(40, rel=0.15)
    assert of_day(demand, 5) == pytest.approx(120, rel=0.15)
    assert of_day(demand, 6) < 12  # shrunk to the mean of all days, yet near closed
    ten = normal_units(demand, MONDAY + 10 * HOUR_MS, MONDAY + 11 * HOUR_MS, RULES)
    assert ten == pytest.approx(12, rel=0.2)
    assert normal_units(demand, MONDAY + 2 * HOUR_MS, MONDAY + 3 * HOUR_MS, RULES) < 0.1


def test_a_new_product_has_a_forecast_before_its_first_sale():
    demand = roll(None, MONDAY, RULES)
    ahead = forecast(demand, MONDAY, MONDAY + DAY_MS, RULES)
    assert 0 < ahead.mean <= RULES.first_units_a_day
    assert ahead.variance >= ahead.mean
    assert demand.days_known == 0


def test_a_change_of_level_is_followed_within_weeks():
    demand = taught()
    chance = Random(2)
    for n in range(28):
        for _ in range(poisson(chance, 80)):
            at = MONDAY + n * DAY_MS + 10 * HOUR_MS + chance.randrange(HOUR_MS)
            demand = observe(demand, at, 1, RULES)
    assert 60 < normal_units(demand, MONDAY + 28 * DAY_MS, MONDAY + 29 * DAY_MS, RULES) < 85


def test_an_empty_shelf_does_not_teach_that_nobody_wants_bread():
    demand = taught()
    before = of_day(demand, 7)
    for n in range(4):  # four days that sell out at half past nine
        start = MONDAY + n * DAY_MS
        demand = observe(demand, start + 9 * HOUR_MS, 4, RULES)
        mark_absent(demand, start + 10 * HOUR_MS, start + 24 * HOUR_MS - 1, RULES)
    demand = roll(demand, MONDAY + 4 * DAY_MS, RULES)
    assert of_day(demand, 7) == pytest.approx(before, rel=0.12)


def test_a_closed_day_does_not_teach_that_nobody_wants_bread():
    demand = taught()
    before = of_day(demand, 7)
    demand = roll(demand, MONDAY + 3 * DAY_MS, RULES)
    assert of_day(demand, 7) == pytest.approx(before, rel=0.05)


def test_days_without_a_sale_teach_that_a_slow_product_is_slow():
    demand = None
    for n in range(60):
        demand = roll(demand, MONDAY + n * DAY_MS, RULES)
        if n % 5 == 0:
            demand = observe(demand, MONDAY + n * DAY_MS + 10 * HOUR_MS, 1, RULES)
    week = normal_units(demand, MONDAY + 60 * DAY_MS, MONDAY + 67 * DAY_MS, RULES)
    assert week == pytest.approx(1.4, abs=0.5)


def test_a_promotion_raises_what_is_expected_and_leaves_the_normal_level_alone():
    demand = taught()
    before = of_day(demand, 0)
    set_uplift(demand, MONDAY, 3.0, RULES)
    assert of_day(demand, 0) == pytest.approx(3 * before)
    for hour, share in HOURS.items():
        demand = observe(demand, MONDAY + hour * HOUR_MS, round(120 * share), RULES)
    demand = roll(demand, MONDAY + DAY_MS, RULES)
    set_uplift(demand, MONDAY + DAY_MS, 1.0, RULES)
    assert of_day(demand, 7) == pytest.approx(before, rel=0.1)


def test_a_morning_twice_as_busy_raises_the_rest_of_the_day_but_not_tomorrow():
    demand = taught()
    noon = MONDAY + 12 * HOUR_MS
    usual = normal_units(demand, noon, noon + 6 * HOUR_MS, RULES)
    assert usual == pytest.approx(16, rel=0.25)
    for hour, units in ((9, 8), (10, 24), (11, 16)):
        demand = observe(demand, MONDAY + hour * HOUR_MS, units, RULES)
    assert 1.3 < today(demand, noon, RULES).factor < 2
    assert forecast(demand, noon, noon + 6 * HOUR_MS, RULES).mean > 1.2 * usual
    tomorrow = forecast(demand, noon + DAY_MS, noon + 2 * DAY_MS, RULES).mean
    assert tomorrow < 1.2 * forecast(taught(), noon + DAY_MS, noon + 2 * DAY_MS, RULES).mean


def test_late_sales_and_sales_out_of_order_end_in_the_same_forecast():
    chance = Random(3)
    sales = [
        MONDAY + n * DAY_MS + hour * HOUR_MS + chance.randrange(HOUR_MS)
        for n in range(3)
        for hour in HOURS
        for _ in range(6)
    ]
    in_order: Demand | None = None
    for at in sorted(sales):
        in_order = observe(in_order, at, 1, RULES)
    shuffled: Demand | None = None
    for n in range(3):
        of_one_day = [at for at in sales if (at - MONDAY) // DAY_MS == n]
        chance.shuffle(of_one_day)
        for at in of_one_day:
            shuffled = observe(shuffled, at, 1, RULES)
    assert shuffled == in_order
    late = observe(copy.deepcopy(in_order), MONDAY + 9 * HOUR_MS, 1, RULES)
    assert sum(late.hours) == sum(in_order.hours)
    assert of_day(late, 7) > of_day(in_order, 7)


def test_a_void_takes_its_sale_back():
    demand = observe(None, MONDAY + 10 * HOUR_MS, 3, RULES)
    demand = observe(demand, MONDAY + 10 * HOUR_MS, -3, RULES)
    assert sum(demand.hours) == 0


@pytest.mark.parametrize("seed", range(4))
def test_by_the_day_the_same_is_learnt_as_by_the_hour(seed):
    chance = Random(seed)
    hourly, daily = RULES, replace(RULES, hourly=False)
    by_hour: Demand | None = None
    by_day: Demand | None = None
    for n in range(60):
        if chance.random() < 0.1:
            continue
        start = MONDAY + n * DAY_MS
        by_hour, by_day = roll(by_hour, start, hourly), roll(by_day, start, daily)
        uplift = 2.0 if 30 <= n < 35 else 1.0
        set_uplift(by_hour, start, uplift, hourly)
        set_uplift(by_day, start, uplift, daily)
        for at in sorted(chance.randrange(DAY_MS) for _ in range(poisson(chance, 9 + seed * 20))):
            units = chance.choice((1, 1, 4))
            late = DAY_MS if chance.random() < 0.02 else 0
            by_hour = observe(by_hour, start + at - late, units, hourly)
            by_day = observe(by_day, start + at - late, units, daily)
    assert week(by_day) == pytest.approx(week(by_hour), rel=1e-5)
    assert day_spread(by_day, daily) == pytest.approx(day_spread(by_hour, hourly), rel=1e-4)
    whole_day = forecast(by_hour, MONDAY + 70 * DAY_MS, MONDAY + 71 * DAY_MS, hourly)
    assert whole_day.mean > 0
    assert len(by_day.sums) == 56


def test_by_the_day_an_empty_shelf_teaches_only_what_it_sold_more():
    rules = replace(RULES, hourly=False)
    demand = None
    for n in range(28):
        demand = observe(demand, MONDAY + n * DAY_MS, 20, rules)
    demand = roll(demand, MONDAY + 28 * DAY_MS, rules)
    usual = of_a_day(demand, 1, 1.0, rules).mean
    sold_out = copy.deepcopy(demand)
    for day, sold in ((28, 3), (29, 60)):
        sold_out = observe(sold_out, MONDAY + day * DAY_MS, sold, rules)
        sold_out.absent = ALL_DAY
    sold_out = roll(sold_out, MONDAY + 34 * DAY_MS, rules, empty=True)
    assert mean_of(week(sold_out), 0, rules) == pytest.approx(usual, rel=0.15)
    assert mean_of(week(sold_out), 1, rules) > 1.3 * usual


def test_of_two_spans_of_days_the_busier_counts():
    rules = replace(RULES, hourly=False)
    demand = None
    for n in range(35):
        demand = observe(demand, MONDAY + n * DAY_MS, 60 if n % 7 == 5 else 20, rules)
    friday = roll(copy.deepcopy(demand), MONDAY + 39 * DAY_MS, rules)
    thursday = roll(demand, MONDAY + 38 * DAY_MS, rules)
    assert of_a_day(thursday, 1, 1.0, rules).mean == pytest.approx(20, rel=0.3)
    assert of_a_day(friday, 1, 1.0, rules).mean == pytest.approx(55, rel=0.2)
    twice = of_a_day(friday, 1, 2.0, rules)
    assert twice.mean == pytest.approx(2 * of_a_day(friday, 1, 1.0, rules).mean)
    assert twice.variance > 2 * of_a_day(friday, 1, 1.0, rules).variance


def test_stock_runs_out_when_its_units_have_sold():
    demand = taught()
    found = run_out(demand, MONDAY + 9 * HOUR_MS, 10, RULES)
    # 4 units from nine, 12 more from ten: the tenth goes in the middle of that hour
    assert found.median_ms == pytest.approx(MONDAY + 10.5 * HOUR_MS, abs=HOUR_MS / 2)
    assert found.early_ms < found.median_ms < found.late_ms
    assert run_out(demand, MONDAY + 9 * HOUR_MS, 5_000, RULES).median_ms is None
    assert run_out(demand, MONDAY + 9 * HOUR_MS, 0, RULES).median_ms == MONDAY + 9 * HOUR_MS


def test_the_interval_of_the_run_out_holds_as_often_as_it_says():
    chance = Random(4)
    demand = taught(seed=9)
    inside = 0
    for _ in range(400):
        luck = chance.gammavariate(8, 1 / 8)
        sales = sorted(
            MONDAY + hour * HOUR_MS + chance.randrange(HOUR_MS)
            for hour, share in HOURS.items()
            for _ in range(poisson(chance, 40 * share * luck))
        )
        found = run_out(demand, MONDAY + 8 * HOUR_MS, 12, RULES, horizon_ms=16 * HOUR_MS)
        actual = sales[11] if len(sales) > 11 else MONDAY + DAY_MS
        inside += (found.early_ms or 0) <= actual <= (found.late_ms or MONDAY + DAY_MS)
    assert 0.72 < inside / 400 < 0.92


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 40 * 24), st.integers(-5, 500), st.booleans()), max_size=30),
    st.integers(0, 100),
)
def test_whatever_is_sold_when_the_model_stays_finite_and_small(events, stock):
    demand = None
    for hours, units, absent in events:
        at = MONDAY + hours * HOUR_MS
        demand = observe(demand, at, units, RULES)
        if absent:
            mark_absent(demand, at, at + 3 * HOUR_MS, RULES)
    demand = roll(demand, MONDAY + 41 * DAY_MS, RULES)
    ahead = forecast(demand, MONDAY + 41 * DAY_MS, MONDAY + 43 * DAY_MS, RULES)
    assert 0 <= ahead.mean < 1e6
    assert ahead.mean <= ahead.variance < 1e15
    found = run_out(demand, MONDAY + 41 * DAY_MS, stock, RULES)
    times = [t for t in (found.early_ms, found.median_ms, found.late_ms) if t is not None]
    assert times == sorted(times)
