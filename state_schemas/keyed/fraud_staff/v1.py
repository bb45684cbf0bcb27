"""Version 1, which knows no refunds to cards that did not buy."""

from __future__ import annotations

import msgspec


class Book(msgspec.Struct, array_like=True, gc=False):
    """See ``domain.staff``."""

    windows: list[list[list[int]]]
    day: int
    days: list[int]
    baskets: int
    numbers: list[int]
    told: list[int]
    recent: list[int]
