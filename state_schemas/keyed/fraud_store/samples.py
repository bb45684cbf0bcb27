"""Stores as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.domain.staff_case import StoreBook
from tillstream.state_schemas.keyed.fraud_store import v1

V1 = {
    "new": v1.StoreBook([], []),
    "two-days": v1.StoreBook(
        [20_416, 3, 60_000, 1, 40_000, 0, 0, 20_416, 0, 0, 0, 0, 2, 1_500], [2**32 - 1]
    ),
}

V2 = {
    "new": StoreBook([], {}),
    "a-case-told": StoreBook(
        [20_416, 3, 60_000, 1, 40_000, 0, 0, 20_416, 0, 0, 0, 0, 2, 1_500],
        {2**32 - 1: 3_055_000, 17: 0},
    ),
}

SAMPLES = {1: V1, 2: V2}
