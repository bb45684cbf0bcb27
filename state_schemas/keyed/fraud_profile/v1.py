"""Version 1 of what is remembered of a subject, released with 0.1.0 and frozen: nothing in here changes.

Body, a msgpack array, fields by position; what each means is in tillstream/domain/fraud/profile.py.
"""

from __future__ import annotations

import msgspec


class Sale(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A held sale: not learnt until a verdict."""

    transaction: int
    event_ms: int
    cents: int
    store: int
    hour: float
    card: int
    method: int
    categories: tuple[int, ...]


class Profile(msgspec.Struct, array_like=True, gc=False):
    """Amounts as ln(cents), times in ms since the epoch (UTC), hours of local time."""

    sales: int
    first_ms: int
    newest_ms: int
    level: float
    spread: float
    hour_x: float
    hour_y: float
    last_store: int
    last_ms: int
    stores: list[int]
    cards: list[int]
    methods: int
    categories: list[int]
    windows: list[list[int]]
    heat: float
    heat_ms: int
    high: float
    peak: float
    peak_ms: int
    watch_until_ms: int
    watch_cause: int
    recent: list[int]
    held: list[Sale]
    frauds: int
    first_fraud_ms: int
    last_fraud_ms: int
    labelled: list[int]
