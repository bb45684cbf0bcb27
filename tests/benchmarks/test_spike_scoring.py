"""The score of the Numenta benchmark against examples worked out by hand."""

from __future__ import annotations

import math

import pytest

from benchmarks.spikes.scoring import (
    PROFILES,
    Scored,
    at,
    best,
    indices,
    probation,
    sigma,
)

STANDARD = PROFILES["standard"]
N, WINDOW = 1000, (400, 499)  # probation is 150


def detections(*places: int, strength: float = 1.0) -> list[float]:
    return [strength if n in places else 0.0 for n in range(N)]


def score(*places: int, profile=STANDARD) -> float:
    found = at([Scored([WINDOW], detections(*places))], profile, 0.5).score
    assert found is not None
    return found


def test_the_sigmoid_is_the_published_one():
    assert sigma(-1.0) == pytest.approx(0.98661, abs=1e-5)
    assert sigma(-0.5) == pytest.approx(0.84828, abs=1e-5)
    assert sigma(0.0) == 0.0
    assert sigma(1.0) == pytest.approx(-0.98661, abs=1e-5)
    assert sigma(3.0) == sigma(1e9) == -1.0


def test_probation_is_fifteen_percent_up_to_750_records():
    assert [probation(n) for n in (0, 100, 4032, 5000, 22_695)] == [0, 15, 604, 750, 750]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_perfect_detector_has_100_and_one_that_finds_nothing_0(profile):
    assert score(400, profile=profile) == pytest.approx(100)
    assert score(profile=profile) == pytest.approx(0)


def test_a_detection_half_way_into_a_window_by_hand():
    y = -(499 - 450 + 1) / 100
    weight = (2 / (1 + math.exp(5 * y)) - 1) / 0.986614
    assert score(450) == pytest.approx(100 * (weight + 1) / 2, abs=1e-3)
    assert score(450) == pytest.approx(92.99, abs=0.01)


def test_only_the_first_detection_of_a_window_counts():
    assert score(410, 420, 430, 499) == score(410)


def test_a_false_alarm_far_away_by_hand():
    assert score(400, 950) == pytest.approx(100 * (1 + 1 - 0.11) / 2)  # -1 from 3 windows on
    assert score(400, 300) == score(400, 950)  # before the first window


def test_a_false_alarm_just_behind_a_window_is_cheaper_than_one_far_away():
    assert score(400, 501) > score(400, 560) > score(400, 950)
    assert score(400, 500) == pytest.approx(100 - 0.11 * 50 * -sigma(1 / 99), abs=1e-6)


def test_nothing_counts_in_probation():
    assert score(400, *range(150)) == 100
    assert score(400, 150) < 100


def test_profiles_weigh_alarms_and_misses_differently():
    low_fp, low_fn = PROFILES["reward_low_fp"], PROFILES["reward_low_fn"]
    assert score(400, 950, profile=low_fp) == pytest.approx(100 * (2 - 0.22) / 2)
    assert score(400, 950, profile=low_fn) == pytest.approx(100 * (3 - 0.11) / 3)


def test_the_best_threshold_is_one_for_all_series():
    first = Scored([WINDOW], [2.0 * (n == 400) + 1.0 * (n in (200, 950)) for n in range(N)])
    second = Scored([WINDOW], detections(400, strength=1.5))
    found = best([first, second], STANDARD)
    assert (found.threshold, found.found, found.missed, found.false) == (1.5, 2, 0, 0)
    assert found.score == pytest.approx(100)
    assert best([first, second], STANDARD) == at([first, second], STANDARD, 1.5)


def test_the_best_of_all_thresholds_may_be_to_find_nothing():
    noise = Scored([WINDOW], detections(*range(500, 1000)))
    assert best([noise], STANDARD).score == pytest.approx(0)


def test_without_windows_there_is_no_score_but_false_alarms():
    found = at([Scored([], detections(200, 300))], STANDARD, 0.5)
    assert (found.score, found.false) == (None, 2)


def test_a_series_without_windows_costs_by_its_false_alarms():
    pair = [Scored([WINDOW], detections(400)), Scored([], detections(200))]
    assert at(pair, STANDARD, 0.5).score == pytest.approx(100 * (2 - 0.11) / 2)


def test_windows_are_found_by_their_times():
    times = [0.0, 10.0, 20.0, 30.0]
    assert indices(times, [(10, 20), (25, 99), (100, 200)]) == [(1, 2), (3, 3)]
