"""What is found wrong after a run, on values alone."""

from __future__ import annotations

from collections import Counter

from tillstream.chaos import invariants
from tillstream.chaos.watch import Fallbacks
from tillstream.check.report import Difference, Report


def test_a_hot_item_that_falls_back_is_named_even_if_it_ends_right():
    seen = Fallbacks()
    for versions in ({"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 5}):
        seen.look(versions.items())
    found = invariants.fallbacks(seen, looks=3)
    assert found.wrong == ["b fell back from version 4 to 3"]
    assert found.note == "2 items in 3 looks"


def test_a_difference_of_the_check_is_wrong_and_so_is_a_total():
    good = Report(totals={"entries": (5, 5)}, sent=5)
    assert invariants._compared("equal", good) == ("equal", [], "5 records sent; 5 entries")
    bad = Report(
        totals={"entries": (5, 4)}, count=12, differences=[Difference("hot", "C1", "stale")]
    )
    assert invariants._compared("equal", bad).wrong == [
        "hot: C1: stale", "entries: 4, must be 5", "12 differences in all",
    ]  # fmt: skip


def test_what_is_there_twice_is_named():
    assert invariants.more_than_once(Counter("aab")) == ["a: 2 times"]


def test_memory_is_judged_in_long_runs_and_only_of_processes_that_lived_on():
    grown = {"kafka": [(1, 100), (1, 110), (1, 150)], "s3": [(1, 100), (1, 110), (2, 150)]}
    assert invariants.memory(grown, 300).wrong == []
    long = invariants.memory(grown, invariants.JUDGED_FROM_S)
    assert long.wrong == ["kafka grew from 110 to 150 MiB"]
    assert "s3 100 to 150 MiB" in long.note
