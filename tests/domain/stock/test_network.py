"""Which centres and stores are near."""

from __future__ import annotations

import pytest

from tillstream import reference
from tillstream.conf import load
from tillstream.domain.stock.network import Place, distance_km, neighbours

CAPE_TOWN = Place(1, "Cape Town", "ZA", -33.93, 18.42)
JOHANNESBURG = Place(9001, "Johannesburg", "ZA", -26.20, 28.05)
WINDHOEK = Place(9009, "Windhoek", "NA", -22.57, 17.08)


def test_a_distance_is_that_of_the_great_circle():
    assert abs(distance_km(CAPE_TOWN, JOHANNESBURG) - 1263) < 10


def test_centres_at_home_come_before_nearer_ones_abroad():
    upington = Place(2, "Upington", "ZA", -28.45, 21.26)
    found = neighbours([upington], [WINDHOEK, JOHANNESBURG], 30, 3, 4)[2]
    assert [near.number for near in found.centres] == [9001, 9009]


def test_nearby_stores_are_those_of_the_same_country_within_the_distance():
    next_door = Place(3, "Next door", "ZA", -33.95, 18.42)
    too_far = Place(4, "Too far", "ZA", -34.45, 18.42)
    found = neighbours([CAPE_TOWN, next_door, too_far], [JOHANNESBURG], 30, 3, 4)
    assert [near.number for near in found[1].stores] == [3]


@pytest.mark.parametrize("nearby_km", [100, 20_015, 50_000])
def test_a_distance_may_be_as_large_as_one_likes(nearby_km):
    next_door = Place(3, "Next door", "ZA", -33.95, 18.42)
    far = Place(4, "Far", "ZA", -34.45, 18.42)
    found = neighbours([CAPE_TOWN, next_door, far], [JOHANNESBURG], nearby_km, 3, 4)
    assert [near.number for near in found[1].stores] == [3, 4]


def test_every_packaged_store_has_centres_to_ask():
    found = reference.network(load())
    assert len(found) == 2900
    assert all(near.centres for near in found.values())
