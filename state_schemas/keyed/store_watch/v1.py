"""Version 1 of a store's watch: its hours are those of a clock two hours ahead of UTC, whatever the store."""

from __future__ import annotations

import msgspec


class Demand(msgspec.Struct, array_like=True):
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


class Appeal(msgspec.Struct, array_like=True):
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


class Promotion(msgspec.Struct, array_like=True):
    promotion_id: str
    revision: int
    start_ms: int
    end_ms: int
    uplift_percent: int


class Shelf(msgspec.Struct, array_like=True):
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


class StoreWatch(msgspec.Struct, array_like=True):
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
