"""Where stores are and what their clocks show."""

from __future__ import annotations

from collections.abc import Mapping
from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple

from tillstream.domain.local_time import offset_ms

EARTH_KM = 6371.0088  # mean radius, IUGG
HOUR_MS = 3_600_000


class Place(NamedTuple):
    """A store: latitude and longitude in degrees (WGS 84), IANA time zone; of what follows "" is
    what nobody says."""

    lat: float
    lon: float
    zone: str
    currency: str = ""
    name: str = ""
    region: str = ""
    country: str = ""


Places = Mapping[int, Place]


def distance_km(a: Place, b: Place) -> float:
    """Great-circle distance by the haversine formula (R. W. Sinnott, Sky and Telescope 68, 1984)."""
    lat_a, lat_b = radians(a.lat), radians(b.lat)
    h = (
        sin((lat_b - lat_a) / 2) ** 2
        + cos(lat_a) * cos(lat_b) * sin(radians(b.lon - a.lon) / 2) ** 2
    )
    return 2 * EARTH_KM * asin(min(1.0, sqrt(h)))


def local_hour(place: Place, at_ms: int) -> float:
    """Time of day at the store, in hours from 0 up to 24."""
    local = at_ms + offset_ms(place.zone, at_ms)
    return (local // 1000 % 86_400) / 3600
