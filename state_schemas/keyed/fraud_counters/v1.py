"""Version 1 of a till's or card's counts, released with 0.1.0 and frozen: nothing in here changes again.

Body, a msgpack array, fields by position; what each means is in tillstream/domain/fraud/counters.py.
"""

from __future__ import annotations

import msgspec


class Counters(msgspec.Struct, array_like=True, gc=False):
    """Money in cents, days and buckets counted from 1970 UTC, times in ms since the epoch."""

    windows: list[list[int]]
    days: list[int]
    newest_ms: int
    recent: list[int]
    labelled: list[int]
