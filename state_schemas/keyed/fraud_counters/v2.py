"""Version 2, which knows no refunds of a card."""

from __future__ import annotations

import msgspec


class Habit(msgspec.Struct, array_like=True, gc=False):
    """See ``domain.fraud.counters``."""

    sales: int = 0
    level: float = 0.0
    spread: float = 0.0
    hour_x: float = 0.0
    hour_y: float = 0.0
    store: int = 0
    at_ms: int = 0


class Counters(msgspec.Struct, array_like=True, gc=False):
    """See ``domain.fraud.counters``."""

    windows: list[list[int]]
    days: list[int]
    newest_ms: int
    recent: list[int]
    labelled: list[int]
    habit: Habit | None = None
