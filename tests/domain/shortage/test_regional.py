"""Chains of shortages across a region become one alert; single ones do not."""

from __future__ import annotations

from typing import Any

import pytest

from tillstream.domain.demand.model import DAY_MS, HOUR_MS, DemandRules
from tillstream.domain.shortage.line import (
    OFFLINE,
    OK,
    RUNNING_OUT,
    SILENT,
    SOLD_OUT,
    Shortage,
)
from tillstream.domain.shortage.regional import REGIONAL, Area, RegionalRules, apply_line

RULES = RegionalRules(normal=DemandRules(spread=2.0))
MONDAY = 20_416 * DAY_MS
MINUTE = 60_000
BREAD = "2000000000015"


def line(store: int, at_ms: int, status: str = RUNNING_OUT, before: str = OK, **changes: Any):
    made = Shortage(
        shelf=f"{store}/{BREAD}", area=f"gauteng/{BREAD}", place=f"store:{store}", store=store,
        region="gauteng", product=BREAD, shortage_id=f"{store}/{BREAD}/20251124/1", status=status,
        before=before, version=1, at_ms=at_ms, since_ms=at_ms, stock=12, early_ms=at_ms + 1,
        run_out_ms=at_ms + HOUR_MS, late_ms=None, lead_minutes=90, demand_percent=180,
        silent_baskets=0, opens=status != OK, stale=False, why="because",
    )  # fmt: skip
    for name, value in changes.items():
        setattr(made, name, value)
    return made


class Region:
    def __init__(self) -> None:
        self.area: Area | None = None
        self.lines: list[Any] = []
        self.notices: list[Any] = []

    def hear(self, one: Shortage) -> list[str]:
        """Templates of the notices that follow."""
        after, lines, notices = apply_line(self.area, one, RULES)
        self.area = after or self.area
        self.lines += lines
        self.notices += notices
        return [notice.template for notice in notices]

    def usual(self, days: int = 28) -> Region:
        """One shortage a day at ten, which ends at noon."""
        for day in range(-days, 0):
            store = 1 + day % 40
            self.hear(line(store, MONDAY + day * DAY_MS + 10 * HOUR_MS))
            self.hear(line(store, MONDAY + day * DAY_MS + 12 * HOUR_MS, OK, RUNNING_OUT))
        return self


@pytest.fixture
def region() -> Region:
    return Region().usual()


def test_a_single_shortage_is_the_managers_alone(region):
    assert region.hear(line(45, MONDAY + 10 * HOUR_MS)) == ["shelf_running_out"]
    told = region.notices[-1]
    assert told.recipient == "store:45"
    assert told.notice_id == f"shelf_running_out:store:45:45/{BREAD}/20251124/1"
    assert told.params["stock"] == 12
    assert "regional_alert" not in told.params


def test_stores_one_after_the_other_become_one_regional_alert(region):
    told = [region.hear(line(100 + n, MONDAY + 8 * HOUR_MS + n * 10 * MINUTE)) for n in range(12)]
    flat = [template for templates in told for template in templates]
    assert flat.count(REGIONAL) == 1
    assert flat.count("shelf_running_out") == 12
    opened = next(n for n, templates in enumerate(told) if REGIONAL in templates)
    assert 2 <= opened <= 6
    (regional,) = [notice for notice in region.notices if notice.template == REGIONAL]
    assert regional.recipient == "team:supply"
    assert regional.params["stores"] == opened + 1
    assert "usual are" in regional.params["why"]
    later = region.notices[-1]
    assert later.params["regional_alert"] == regional.cause


def test_a_shelf_that_flaps_is_not_a_chain(region):
    at = MONDAY + 9 * HOUR_MS
    for n in range(20):
        assert REGIONAL not in region.hear(line(45, at + n * 5 * MINUTE))
        region.hear(line(45, at + n * 5 * MINUTE + MINUTE, OK, RUNNING_OUT))


def test_silent_and_sold_out_shelves_count_like_those_that_run_out(region):
    at = MONDAY + 8 * HOUR_MS
    told = []
    for n, status in enumerate((RUNNING_OUT, SILENT, SOLD_OUT) * 3):
        told += region.hear(line(100 + n, at + n * MINUTE, status))
    assert told.count(REGIONAL) == 1
    assert {"shelf_running_out", "shelf_silent", "shelf_sold_out"} <= set(told)


def test_the_alert_closes_when_few_are_short_and_the_next_is_a_new_one(region):
    for day in (0, 1):
        at = MONDAY + day * DAY_MS + 8 * HOUR_MS
        for n in range(8):
            region.hear(line(100 + n, at + n * MINUTE))
        for n in range(8):
            region.hear(line(100 + n, at + HOUR_MS + n * MINUTE, OK, RUNNING_OUT))
    status = [one.status for one in region.lines]
    assert status.count(OK) == 2
    ids = {notice.notice_id for notice in region.notices if notice.template == REGIONAL}
    assert len(ids) == 2
    versions = [one.version for one in region.lines]
    assert versions == sorted(set(versions))


def test_a_region_that_is_often_short_on_saturdays_needs_more_for_an_alarm():
    calm, rushed = Region().usual(56), Region().usual(56)
    for week in range(-8, 0):
        for n in range(6):
            at = MONDAY + week * 7 * DAY_MS + 5 * DAY_MS + 10 * HOUR_MS + n * 5 * MINUTE
            rushed.hear(line(300 + n, at))
            rushed.hear(line(300 + n, at + HOUR_MS, OK, RUNNING_OUT))
    needed = {}
    for name, region in (("calm", calm), ("rushed", rushed)):
        for n in range(60):
            at = MONDAY + 5 * DAY_MS + 10 * HOUR_MS + n * MINUTE
            if REGIONAL in region.hear(line(100 + n, at)):
                needed[name] = n + 1
                break
    assert needed["rushed"] > needed["calm"]


def test_an_old_record_calls_nobody_but_is_counted(region):
    for n in range(8):
        assert region.hear(line(100 + n, MONDAY + 8 * HOUR_MS + n * MINUTE, stale=True)) == []
    assert region.area.opened_ms


def test_an_offline_store_is_told_of_and_belongs_to_no_chain(region):
    before = region.area
    assert region.hear(line(7, MONDAY, OFFLINE, product="*", opens=True)) == ["store_offline"]
    assert region.hear(line(7, MONDAY, OK, OFFLINE, product="*", opens=False)) == []
    assert region.area is before


def test_a_store_that_never_comes_back_is_forgotten_after_a_day(region):
    region.hear(line(45, MONDAY))
    region.hear(line(46, MONDAY + 2 * DAY_MS))
    assert list(region.area.short) == [46]
