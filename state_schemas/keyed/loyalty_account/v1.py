"""Version 1, as it was released."""

from __future__ import annotations

import msgspec


class Posting(msgspec.Struct, array_like=True, gc=False):
    event_time_ms: int
    total_cents: int = 0
    redeemed: int = 0
    refunded_cents: int = 0
    cents_per_point: int = 0
    point_value_cents: int = 0


class Pending(msgspec.Struct, array_like=True, gc=False):
    transaction_id: str
    event_time_ms: int
    kind: str
    cents: int | None
    total_cents: int
    store: int
    region: str


class Account(msgspec.Struct, array_like=True, gc=False):
    version: int = 0
    balance: int = 0
    newest_ms: int = 0
    floor_ms: int = -1
    oldest_ms: int = 0
    postings: dict[str, Posting] = {}
    pending: dict[str, list[Pending]] = {}
