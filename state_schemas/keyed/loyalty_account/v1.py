"""Version 1 of the loyalty account, released with 0.1.0 and frozen: nothing in here changes again.

Body, a msgpack array, fields by position, integers in msgpack's shortest form::

    [version, balance, newest_ms, floor_ms, oldest_ms,
     {transaction_id: [event_time_ms, total_cents, redeemed, refunded_cents,
                       cents_per_point, point_value_cents]},
     {sale's transaction_id: [[transaction_id, event_time_ms, kind, cents | nil,
                               total_cents, store, region], ...]}]
"""

from __future__ import annotations

import msgspec


class Posting(msgspec.Struct, array_like=True, gc=False):
    """cents_per_point 0 marks a reversal."""

    event_time_ms: int
    total_cents: int
    redeemed: int
    refunded_cents: int
    cents_per_point: int
    point_value_cents: int


class Pending(msgspec.Struct, array_like=True, gc=False):
    """A refund or void whose sale was not seen yet; ``cents`` is None for a void."""

    transaction_id: str
    event_time_ms: int
    kind: str
    cents: int | None
    total_cents: int
    store: int
    region: str


class Account(msgspec.Struct, array_like=True, gc=False):
    """Points in whole numbers, money in cents, times in ms since the epoch, UTC."""

    version: int
    balance: int
    newest_ms: int
    floor_ms: int
    oldest_ms: int
    postings: dict[str, Posting]
    pending: dict[str, list[Pending]]
