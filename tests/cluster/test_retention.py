"""Which savepoints stay: one an hour for a day, one a day for a month, and never none that is good."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tillstream.cluster.manifest import Manifest, Verified
from tillstream.cluster.retention import DAY_MS, HOUR_MS, at_or_before, expired

NOW = 1_764_000_000_000 // DAY_MS * DAY_MS + 20 * HOUR_MS


def one(age_ms: int, problem: str | None = None) -> Manifest:
    at = NOW - age_ms
    verified = None if problem is None else Verified(at, "1", problem)
    where = f"file:///s/{age_ms}-{problem}"
    return Manifest("loyalty", "id", where, at, at, 1, "1", "1.20", 1, {}, {}, verified=verified)


def ages(found: list[Manifest]) -> list[int]:
    return [NOW - each.taken_at_ms for each in found]


def gone(kept: list[Manifest]) -> list[int]:
    return ages(expired(kept, NOW, hourly_for_hours=24, daily_for_days=31))


def test_the_newest_of_each_hour_stays_for_a_day():
    quarter = HOUR_MS // 4
    kept = [one(quarter * n + 1) for n in range(8)]
    assert sorted(gone(kept)) == [quarter * n + 1 for n in (1, 2, 3, 5, 6, 7)]


def test_the_newest_of_each_day_stays_for_a_month():
    kept = [one(HOUR_MS), *(one(30 * HOUR_MS + n * 6 * HOUR_MS) for n in range(8))]
    left = [age for age in ages(kept) if age not in gone(kept)]
    days = {(NOW - age) // DAY_MS for age in left}
    assert len(left) == len(days)


def test_after_a_month_it_goes():
    assert gone([one(HOUR_MS), one(40 * DAY_MS)]) == [40 * DAY_MS]


def test_the_newest_good_one_stays_whatever_its_age():
    kept = [one(50 * DAY_MS), one(60 * DAY_MS)]
    assert gone(kept) == [60 * DAY_MS]


def test_one_known_to_be_bad_takes_no_good_ones_place():
    bad, good = one(40 * DAY_MS, "no such state"), one(50 * DAY_MS)
    assert gone([bad, good]) == []
    assert at_or_before([bad, good], NOW) == good


def test_the_newest_that_was_verified_stays_too():
    assert gone([one(HOUR_MS), one(40 * DAY_MS, ""), one(50 * DAY_MS, "")]) == [50 * DAY_MS]


def test_a_time_finds_the_last_savepoint_at_or_before_it():
    early, late = one(3 * HOUR_MS), one(HOUR_MS)
    assert at_or_before([early, late], NOW - 2 * HOUR_MS) == early
    assert at_or_before([early, late], NOW - HOUR_MS) == late
    assert at_or_before([early, late], NOW - 4 * HOUR_MS) is None


@given(st.lists(st.tuples(st.integers(0, 60 * DAY_MS), st.sampled_from([None, "", "bad"]))))
def test_pruning_always_leaves_the_newest_good_one_and_pruning_twice_changes_nothing(drawn):
    kept = [one(age, problem) for age, problem in dict(drawn).items()]
    gone = expired(kept, NOW, 24, 31)
    left = [each for each in kept if each not in gone]
    good = [each for each in kept if each.verified is None or not each.verified.problem]
    if good:
        assert max(good, key=lambda each: each.taken_at_ms) in left
    assert expired(left, NOW, 24, 31) == []


def test_one_of_a_history_that_a_replay_replaced_is_not_chosen():
    old, replaced = one(3 * HOUR_MS), one(HOUR_MS)
    replaced.superseded_by = "20261124T080000Z"
    assert at_or_before([old, replaced], NOW) == old
