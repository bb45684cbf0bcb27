"""Version 1, which knows no habit of a card."""

from __future__ import annotations

import msgspec


class Counters(msgspec.Struct, array_like=True, gc=False):
    """See ``domain.fraud.counters``."""

    windows: list[list[int]]
    days: list[int]
    newest_ms: int
    recent: list[int]
    labelled: list[int]
