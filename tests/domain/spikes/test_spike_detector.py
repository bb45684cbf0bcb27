"""What the detector of spikes promises of any series: bounded, repeatable, whatever its unit."""

from __future__ import annotations

import math
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tillstream.domain.spikes.detector import (
    COLLAPSE,
    NAMES,
    SPIKE,
    Finding,
    Judged,
    Point,
    Watch,
    judge,
    observe,
)
from tillstream.domain.spikes.rules import (
    BASELINE,
    Calendar,
    SpikeRules,
    odds_of,
    payment_rules,
)

START_MS = 1_800_000_000_000
MINUTES_5 = 300_000
RULES = SpikeRules()
SOON = SpikeRules(learn=20, odds=10.0)
KEPT = 18_000  # bytes as msgpack

values = st.floats(allow_nan=False, allow_infinity=False)
series = st.lists(values, min_size=1, max_size=120)


def noise(count: int, seed: int = 1) -> list[float]:
    chance = Random(seed)
    return [chance.gauss(50, 2) for _ in range(count)]


def judged(numbers: list[float], rules: SpikeRules = RULES) -> list[Judged]:
    watch: Watch | None = None
    out = []
    for n, value in enumerate(numbers):
        watch, one = judge(watch, START_MS + n * MINUTES_5, value, rules)
        out.append(one)
    return out


def found(numbers: list[float], rules: SpikeRules = RULES) -> list[tuple[int, Finding]]:
    watch: Watch | None = None
    out: list[tuple[int, Finding]] = []
    for n, value in enumerate(numbers):
        watch, findings, _ = observe(watch, Point(START_MS + n * MINUTES_5, value), rules)
        out += [(n, finding) for finding in findings]
    return out


def test_a_spike_is_found_at_its_first_record():
    numbers = noise(1500)
    numbers[1200] += 60
    assert (1200, SPIKE) in [(n, one.way) for n, one in found(numbers)]


def test_a_collapse_is_found_and_called_one():
    numbers = noise(1500)
    numbers[1200:1230] = [0.0] * 30
    assert (1200, COLLAPSE) in [(n, one.way) for n, one in found(numbers)]


def test_an_event_that_lasts_is_found_again_only_while_it_gets_stranger():
    numbers = noise(1500)
    numbers[1200:1240] = [110.0] * 40
    told = [one.strength for n, one in found(numbers) if 1200 <= n < 1240]
    assert told == sorted(told)
    assert len(told) <= 3


def test_a_peak_that_comes_daily_is_missed_when_it_does_not_come():
    numbers = [
        value + (40 if 100 <= n % 288 < 180 else 0) for n, value in enumerate(noise(288 * 14))
    ]
    day = 288 * 12
    numbers[day + 100 : day + 180] = noise(80, 2)
    told = [(n - day, one) for n, one in found(numbers) if 100 <= n - day < 180]
    assert told
    assert told[0][0] < 104
    assert told[0][1].way == COLLAPSE


@given(values, st.integers(1, 400))
def test_a_constant_series_gives_no_finding(value, count):
    assert not found([value] * count, SOON)


@given(series)
def test_no_finite_value_is_too_extreme(numbers):
    for one in judged(numbers, SOON):
        assert math.isfinite(one.strength)
        assert one.strength >= 0
        assert math.isfinite(one.expected)


@given(series)
def test_counts_may_be_anything_too(numbers):
    rules = msgspec.structs.replace(SOON, counts=True, calendar=Calendar(paydays=(25,)))
    assert all(math.isfinite(one.strength) for one in judged(numbers, rules))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="finite"):
        judge(None, START_MS, value, RULES)


@given(series)
def test_the_same_records_give_the_same_judgements(numbers):
    assert judged(numbers, SOON) == judged(numbers, SOON)


@settings(max_examples=30)
@given(st.lists(st.floats(-1e6, 1e6), min_size=30, max_size=120), st.integers(-30, 30))
def test_the_unit_of_a_series_does_not_matter(numbers, power):
    numbers = [round(number, 3) for number in numbers]
    scaled = [number * 2.0**power for number in numbers]
    plain = [(one.strength, one.stream, one.way) for one in judged(numbers, SOON)]
    assert [(one.strength, one.stream, one.way) for one in judged(scaled, SOON)] == plain


def test_where_a_series_has_its_zero_does_not_matter():
    numbers = noise(1500)
    numbers[1200] += 60
    shifted = [number + 1000 for number in numbers]
    assert [n for n, _ in found(shifted)] == [n for n, _ in found(numbers)]


@given(series, st.data())
def test_a_restart_from_stored_state_changes_nothing(numbers, data):
    stop = data.draw(st.integers(0, len(numbers)))
    watch: Watch | None = None
    out = []
    for n, value in enumerate(numbers):
        if n == stop and watch is not None:
            watch = msgspec.msgpack.decode(msgspec.msgpack.encode(watch), type=Watch)
        watch, one = judge(watch, START_MS + n * MINUTES_5, value, SOON)
        out.append(one)
    assert out == judged(numbers, SOON)


def test_state_does_not_grow():
    watch: Watch | None = None
    sizes = {}
    for n, value in enumerate(noise(6_000)):
        watch, _ = judge(watch, START_MS + n * MINUTES_5, value, SpikeRules(memory=1_000))
        if n in (2_999, 5_999):
            sizes[n] = len(msgspec.msgpack.encode(watch))
    assert sizes[5_999] == pytest.approx(sizes[2_999], abs=32)
    assert sizes[5_999] < KEPT
    assert watch.total <= 2_001


def test_state_is_plain_json_as_well():
    watch, _ = judge(None, START_MS, 5.0, RULES)
    assert msgspec.json.decode(msgspec.json.encode(watch), type=Watch) == watch


@given(st.integers(-(10**9), 10**11))
def test_a_gap_or_a_step_back_in_time_is_borne(gap):
    watch: Watch | None = None
    for n, value in enumerate(noise(60)):
        watch, _ = judge(watch, START_MS + n * MINUTES_5, value, SOON)
    before = watch.levels.last_ms
    watch, one = judge(watch, before + gap, 50.0, SOON)
    assert watch.levels.last_ms == before + max(gap, 0)
    assert math.isfinite(one.strength)


def test_nothing_is_found_while_the_detector_learns():
    numbers = noise(RULES.learn - 1)
    numbers[100] += 1000
    assert not found(numbers)


def test_of_counts_a_window_that_does_not_come_is_waited_for():
    rules = payment_rules(Calendar())
    watch: Watch | None = None
    for n in range(40):
        watch, _, wake_at = observe(watch, Point(START_MS + n * MINUTES_5, 7.0), rules)
    assert START_MS + 40 * MINUTES_5 < wake_at <= START_MS + 42 * MINUTES_5
    assert observe(None, Point(START_MS, 7.0), RULES)[2] is None


def test_a_finding_names_what_it_was_seen_by():
    numbers = noise(1500)
    numbers[1200] += 60
    assert all(one.stream in NAMES and one.strength >= RULES.alarm for _, one in found(numbers))


def test_odds_follow_from_a_stated_rate():
    a_year = 365 * 288
    assert odds_of(12, MINUTES_5, 1) == pytest.approx(2 * a_year / 12)
    assert payment_rules(Calendar()).odds == odds_of(12, MINUTES_5, len(BASELINE))


@pytest.mark.parametrize("wrong", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-1, 1, 1)])
def test_a_rate_or_an_interval_of_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match="above 0"):
        odds_of(*wrong)
