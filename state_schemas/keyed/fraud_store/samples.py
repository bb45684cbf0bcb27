"""Stores as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.domain.staff import StoreBook

V1 = {
    "new": StoreBook([], []),
    "two-days": StoreBook(
        [20_416, 3, 60_000, 1, 40_000, 0, 0, 20_416, 0, 0, 0, 0, 2, 1_500], [2**32 - 1]
    ),
}

SAMPLES = {1: V1}
