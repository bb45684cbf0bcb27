"""Version 2, in which no answer waits and no release is remembered."""

from __future__ import annotations

import msgspec


class Lesson(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """See ``domain.fraud.profile``."""

    transaction: int
    event_ms: int
    cents: int
    store: int
    hour: float
    card: int
    method: int
    categories: tuple[int, ...]
    currency: str = ""
    there: bool = True
    till: str = ""
    card_token: str = ""


class Profile(msgspec.Struct, array_like=True, gc=False):
    """See ``domain.fraud.profile``."""

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
    held: list[Lesson]
    frauds: int
    first_fraud_ms: int
    last_fraud_ms: int
    labelled: list[int]
    home: str = ""
    home_lead: int = 0
