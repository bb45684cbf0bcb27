"""Where stores and distribution centres are, and which are near: a pure look-up made once.

Distances are great circles (mean earth radius 6,371 km), in whole kilometres.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import NamedTuple

EARTH_KM = 6371.0

Point = tuple[float, float, float]  # on a sphere of radius 1


class Place(NamedTuple):
    """A store (1 to 2900) or a distribution centre (9001 up); degrees."""

    number: int
    name: str
    country: str
    lat: float
    lon: float


class Near(NamedTuple):
    """A place and how far it is."""

    number: int
    km: int


class Neighbours(NamedTuple):
    """Of one store: centres of its country, nearest first, then those abroad; nearby stores."""

    centres: tuple[Near, ...]
    stores: tuple[Near, ...]


NOBODY = Neighbours((), ())


def distance_km(a: Place, b: Place) -> float:
    """Great-circle distance."""
    return _along_the_ground(math.dist(_point(a), _point(b)))


def _point(place: Place) -> Point:
    lat, lon = math.radians(place.lat), math.radians(place.lon)
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def _along_the_ground(chord: float) -> float:
    """Kilometres between two points, from the straight line between them."""
    return 2 * EARTH_KM * math.asin(min(1.0, chord / 2))


def neighbours(
    stores: Iterable[Place], centres: Iterable[Place], nearby_km: int, nearby: int, ranked: int
) -> dict[int, Neighbours]:
    """For each store the ``ranked`` best centres and at most ``nearby`` stores within ``nearby_km``.

    Goods cross a border only if no centre at home is left to ask, so those at home come first.
    """
    depots = [(centre, _point(centre)) for centre in centres]
    found = {}
    # A store's neighbours are in its own cube or in one beside it: a country has too many pairs to measure.
    reach = 2 * math.sin(min((nearby_km + 0.5) / (2 * EARTH_KM), math.pi / 2))
    cubes: dict[tuple[int, ...], list[tuple[Place, Point]]] = {}
    for store in stores:
        here = _point(store)
        cubes.setdefault(tuple(int(along // reach) for along in here), []).append((store, here))
    for (x, y, z), inside in cubes.items():
        beside = itertools.product((x - 1, x, x + 1), (y - 1, y, y + 1), (z - 1, z, z + 1))
        around = [other for cube in beside for other in cubes.get(cube, ())]
        for store, here in inside:
            best = sorted(
                (
                    c.country != store.country,
                    round(_along_the_ground(math.dist(here, at))),
                    c.number,
                )
                for c, at in depots
            )
            close = sorted(
                (round(_along_the_ground(chord)), other.number)
                for other, at in around
                if (chord := math.dist(here, at)) <= reach
                and other.number != store.number
                and other.country == store.country
            )
            found[store.number] = Neighbours(
                tuple(Near(number, km) for _, km, number in best[:ranked]),
                tuple(Near(number, km) for km, number in close[:nearby]),
            )
    return found
