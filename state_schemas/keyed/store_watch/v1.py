"""Version 1 of a store's watch, released with 0.1.0 and frozen: nothing in here changes again.

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


class Appeal(msgspec.Struct, array_like=True, gc=False):
    """sums: 48 little-endian float32, baskets with the product and all baskets, by hour."""

    hours: list[int]
    since_hour: int
    since_baskets: int
    shape: float
    rate: float
    carried: float
    carried_baskets: int
    days: float
    excess: float
    weight: float
    sums: bytes


class Promotion(msgspec.Struct, array_like=True, gc=False):
    """uplift_percent: of expected demand."""

    promotion_id: str
    revision: int
    start_ms: int
    end_ms: int
    uplift_percent: int


class Shelf(msgspec.Struct, array_like=True, gc=False):
    """One watched product."""

    demand: Demand
    appeal: Appeal
    sold_ms: int
    stock: int | None
    stock_version: int
    stock_ms: int
    status: str
    since_ms: int
    episode_day: int
    episode: int
    told_ms: int


class Watch(msgspec.Struct, array_like=True, gc=False):
    """One store; ring: 4 bytes for each of the last transactions."""

    region: str
    newest_ms: int
    looked_ms: int
    offline_ms: int
    wake_ms: int
    version: int
    traffic: Demand
    promotions: dict[str, list[Promotion]]
    uplifts_until_ms: int
    ring: bytes
    shelves: dict[str, Shelf]
