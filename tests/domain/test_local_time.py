"""Local clocks: every zone, summer time, the hours between two of them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.domain.demand import model as dm
from tillstream.domain.demand.forecast import normal_units
from tillstream.domain.demand.model import DAY_MS, HOUR_MS, DemandRules
from tillstream.domain.local_time import RulesByPlace, clock, offset_ms

ZONES = ["Africa/Luanda", "Africa/Johannesburg", "Africa/Nairobi", "Africa/Cairo", "Africa/Windhoek",
         "Asia/Kathmandu"]  # fmt: skip


def at(zone: str, text: str) -> int:
    """Ms since the epoch of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@given(st.sampled_from(ZONES), st.integers(946_684_800_000, 4_102_444_800_000))
def test_a_day_and_an_hour_are_those_of_the_zone(zone, at_ms):
    there = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    rules = DemandRules(zone)
    assert clock(zone, at_ms) == f"{there:%H:%M}"
    assert dm.local(at_ms, rules) == (there.toordinal() - 719_163, there.hour)
    assert dm.hour_end(at_ms, rules) - at_ms == HOUR_MS - at_ms % HOUR_MS or zone == ZONES[-1]


def test_summer_time_changes_on_the_minute():
    begins = at("Africa/Cairo", "2026-04-24T01:00")  # there is no midnight that day
    assert offset_ms("Africa/Cairo", begins - 1) == 2 * HOUR_MS
    assert offset_ms("Africa/Cairo", begins) == 3 * HOUR_MS
    assert offset_ms("Africa/Windhoek", at("Africa/Windhoek", "2016-12-01T12:00")) == 2 * HOUR_MS
    assert offset_ms("Africa/Windhoek", at("Africa/Windhoek", "2016-07-01T12:00")) == 1 * HOUR_MS


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-04-24", 23), ("2026-10-29", 25), ("2026-06-01", 24)]
)
def test_what_is_normal_of_a_day_is_that_of_its_own_hours(day, hours):
    rules = DemandRules("Africa/Cairo", first_units_a_day=24.0)
    start = at("Africa/Cairo", f"{day}T00:00")
    demand = dm.new(rules)
    units = [normal_units(demand, start + n * HOUR_MS, start + (n + 1) * HOUR_MS, rules)
             for n in range(hours)]  # fmt: skip
    assert normal_units(demand, start, start + hours * HOUR_MS, rules) == pytest.approx(sum(units))
    noon = at("Africa/Cairo", f"{day}T12:00")
    open_hours = [(noon + n * HOUR_MS - start) // HOUR_MS for n in range(-4, 8)]
    assert [n for n, sold in enumerate(units) if sold > max(units) / 2] == open_hours


def test_an_empty_shelf_s_hours_are_local_ones():
    rules = DemandRules("Africa/Luanda")
    demand = dm.roll(None, at("Africa/Luanda", "2026-11-24T09:00"), rules)
    dm.mark_absent(
        demand,
        at("Africa/Luanda", "2026-11-24T10:00"),
        at("Africa/Luanda", "2026-11-24T12:00"),
        rules,
    )
    assert [hour for hour in range(24) if demand.absent >> hour & 1] == [10, 11]


def test_hours_of_another_clock_are_moved():
    old, new = DemandRules("Etc/GMT-2"), DemandRules("Africa/Luanda")
    moved, right = dm.new(old), dm.new(new)
    for day in range(20_000, 20_030):
        for hour in (7, 12, 18):
            at_ms = day * DAY_MS + hour * HOUR_MS
            moved = dm.observe(moved, at_ms, hour, old)
            right = dm.observe(right, at_ms, hour, new)
    dm.shift_hours(moved, -1)
    assert moved.hours == right.hours
    here = dm.profile(moved.sums, 0, new), dm.profile(right.sums, 0, new)
    assert here[0] == pytest.approx(here[1], abs=0.35)  # what was believed at first is by the hour


def test_rules_are_by_place_and_as_given_elsewhere():
    rules = RulesByPlace(DemandRules("UTC"), {45: "Africa/Luanda", 46: "Africa/Nairobi"})
    assert [rules.of(place).zone for place in (45, 46, 9001)] == [
        "Africa/Luanda", "Africa/Nairobi", "UTC",
    ]  # fmt: skip
