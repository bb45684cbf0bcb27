"""A store's days, hours and texts are those of its own clock; so they are after a release or a table
that gives it another zone."""

from __future__ import annotations

import copy

import pytest

from tests.support.shelf_shop import RULES, Shop
from tillstream.domain.demand.model import HOUR_MS
from tillstream.domain.local_time import clock
from tillstream.domain.shortage.line import RUNNING_OUT
from tillstream.domain.shortage.store import missed

BEFORE = "Etc/GMT-2"  # by which every store went once


@pytest.mark.parametrize("zone", ["Africa/Luanda", "Africa/Johannesburg", "Africa/Nairobi"])
def test_a_manager_reads_times_by_the_clock_on_the_wall(zone):
    shop = Shop(rules=RULES.at(zone)).learn()
    shop.trade(0, end=9)
    shop.level(60, shop.at(0, 9), came=True)
    first = next(line for line in shop.trade(0, start=9) if line.status == RUNNING_OUT)
    assert f"gone by {clock(zone, first.run_out_ms)} " in first.why


@pytest.mark.parametrize("zone", ["Africa/Luanda", "Africa/Nairobi"])
def test_a_store_whose_hours_were_learnt_by_another_clock_is_not_called_offline(zone):
    shop = Shop(rules=RULES.at(BEFORE)).learn()
    shop.trade(0)
    rules = RULES.at(zone)
    unmoved = copy.deepcopy(shop.watch)
    unmoved.zone = zone
    closed = [shop.at(0, 18.5), shop.at(0, 20), shop.at(1, 7), shop.at(1, 8)]

    def told(watch):
        return [line for at in closed for line in missed(45, copy.deepcopy(watch), at, rules)]

    assert told(unmoved)
    assert told(shop.watch) == []


def test_what_was_learnt_of_a_shelf_moves_with_its_store():
    moved, right = (
        Shop(rules=RULES.at(BEFORE)).learn(),
        Shop(rules=RULES.at("Africa/Luanda")).learn(),
    )
    moved.rules = right.rules
    for shop in (moved, right):
        shop.trade(0, end=9)
        shop.level(60, shop.at(0, 9), came=True)
        shop.trade(0, start=9)
    assert moved.watch.zone == "Africa/Luanda"
    assert [line.status for line in moved.told] == [line.status for line in right.told]
    first, wanted = moved.told[0], right.told[0]
    assert abs(first.run_out_ms - wanted.run_out_ms) < HOUR_MS // 6
