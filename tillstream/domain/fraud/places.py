"""Where stores are and what their clocks show."""

from __future__ import annotations

from collections.abc import Mapping
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
