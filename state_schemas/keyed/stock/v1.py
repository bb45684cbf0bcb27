"""Version 1 of a stock, released with 0.1.0 and frozen: nothing in here changes again.

Body, a msgpack array, fields by position; what each means is in tillstream/domain/stock/ledger.py,
recent_lines.py, demand.py and promotion.py.
"""

from __future__ import annotations

import msgspec


class Recent(msgspec.Struct, array_like=True, gc=False):
    """records: 16 bytes a line: hash, ms after base_ms, pieces."""

    base_ms: int
    floor_ms: int
    records: bytes
    due: int


class OpenOrder(msgspec.Struct, array_like=True, gc=False):
    """Ordered, not yet delivered."""

    order_id: str
    quantity: int
    ordered_ms: int


class Demand(msgspec.Struct, array_like=True, gc=False):
    """hours: one count, of the day; sums: 14 little-endian float32, units by weekday, days by weekday."""

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


class Promotion(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A cancelled one has no uplift."""

    promotion_id: str
    revision: int
    start_ms: int
    end_ms: int
    uplift_percent: int


class Stock(msgspec.Struct, array_like=True):
    """Times in ms since the epoch, UTC; levels in pieces."""

    version: int
    level: int
    count_ms: int
    count_id: str
    newest_ms: int
    recent: Recent
    low: bool
    below_zero: bool
    lows: int
    belows: int
    orders: int
    plan: int
    reorder_point: int
    order_up_to: int
    daily_milli: int
    terms_until_ms: int
    no_order_before_ms: int
    demand: Demand
    open_orders: list[OpenOrder]
    promotions: list[Promotion]
