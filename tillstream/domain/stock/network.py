"""Where stores and distribution centres are, and which are near: a pure look-up made once.

Distances are great circles (haversine, mean earth radius 6,371 km), in whole kilometres.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

EARTH_KM = 6371.0
KM_PER_DEGREE = 111.0  # of latitude, at the least


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
    lat_a, lat_b = math.radians(a.lat), math.radians(b.lat)
    half = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin(math.radians(b.lon - a.lon) / 2) ** 2
    )
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


def neighbours(
    stores: Iterable[Place], centres: Iterable[Place], nearby_km: int, nearby: int, ranked: int
) -> dict[int, Neighbours]:
    """For each store the ``ranked`` best centres and at most ``nearby`` stores within ``nearby_km``.

    Goods cross a border only if no centre at home is left to ask, so those at home come first.
    """
    stores, centres = list(stores), list(centres)
    cells: dict[tuple[int, int], list[Place]] = {}
    for store in stores:  # squares of one degree, 85 km or more wide down to 40 degrees south
        cells.setdefault((math.floor(store.lat), math.floor(store.lon)), []).append(store)
    found = {}
    for store in stores:
        best = sorted(
            centres,
            key=lambda c: (c.country != store.country, round(distance_km(store, c)), c.number),
        )
        row, column = math.floor(store.lat), math.floor(store.lon)
        around = [
            Near(other.number, round(distance_km(store, other)))
            for r in (row - 1, row, row + 1)
            for c in (column - 1, column, column + 1)
            for other in cells.get((r, c), ())
            if other.number != store.number
            and other.country == store.country
            and abs(other.lat - store.lat) * KM_PER_DEGREE <= nearby_km + 1
        ]
        close = sorted((n for n in around if n.km <= nearby_km), key=lambda n: (n.km, n.number))
        found[store.number] = Neighbours(
            tuple(Near(c.number, round(distance_km(store, c))) for c in best[:ranked]),
            tuple(close[:nearby]),
        )
    return found
