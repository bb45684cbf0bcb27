"""Where stores are and what their clocks show."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple
from zoneinfo import ZoneInfo

EARTH_KM = 6371.0088  # mean radius, IUGG
HOUR_MS = 3_600_000


class Place(NamedTuple):
    """A store: latitude and longitude in degrees (WGS 84), IANA time zone."""

    lat: float
    lon: float
    zone: str


Places = Mapping[int, Place]


def read_places(lines: Iterable[str]) -> dict[int, Place]:
    """Places by store number, from CSV with the columns store, lat, lon, zone (others are ignored).

    Raises ValueError naming the line for a row that cannot be used.
    """
    places: dict[int, Place] = {}
    for number, row in enumerate(csv.DictReader(lines), start=2):
        try:
            place = Place(float(row["lat"]), float(row["lon"]), sys.intern(row["zone"]))
            store = int(row["store"])
            ZoneInfo(place.zone)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise ValueError(f"stores, line {number}: {error!r}") from None
        if not (-90 <= place.lat <= 90 and -180 <= place.lon <= 180):
            raise ValueError(f"stores, line {number}: no such place as {place.lat}, {place.lon}")
        places[store] = place
    return places


def distance_km(a: Place, b: Place) -> float:
    """Great-circle distance by the haversine formula (R. W. Sinnott, Sky and Telescope 68, 1984)."""
    lat_a, lat_b = radians(a.lat), radians(b.lat)
    h = (
        sin((lat_b - lat_a) / 2) ** 2
        + cos(lat_a) * cos(lat_b) * sin(radians(b.lon - a.lon) / 2) ** 2
    )
    return 2 * EARTH_KM * asin(min(1.0, sqrt(h)))


@lru_cache(maxsize=4096)
def _offset_ms(zone: str, half_day: int) -> int:
    offset = datetime.fromtimestamp(half_day * 43_200, ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return int(offset.total_seconds() * 1000)


def local_hour(place: Place, at_ms: int) -> float:
    """Time of day at the store, in hours from 0 up to 24.

    A zone's offset is looked up once for each half day, so on a day on which clocks change the hour
    may be one off until noon or midnight UTC.
    """
    local = at_ms + _offset_ms(place.zone, at_ms // 43_200_000)
    return (local // 1000 % 86_400) / 3600
