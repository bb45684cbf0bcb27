"""Version 1 of a region's area, released with 0.1.0 and frozen: nothing in here changes again.

Body, a msgpack array, fields by position; times in ms since the epoch (UTC), days of local time since it.
"""

from __future__ import annotations

import msgspec


class Demand(msgspec.Struct, array_like=True, gc=False):
    """hours: 24 counts, or none; absent: a bit an hour; sums: 86 little-endian float32, units by weekday
    (7), days by weekday (7), units by kind of day and hour (3 x 24)."""

    day: int
    hours: list[int]
    absent: int
    uplift: float
    uplift_before: float
    uplift_hour: int
    excess: float
    weight: float
    squares: float
    units: float
    sums: bytes


class Area(msgspec.Struct, array_like=True, gc=False):
    """short: store -> since when."""

    normal: Demand
    short: dict[int, int]
    opened_ms: int
    episode_day: int
    episode: int
    stores: int
    version: int
