"""Days of a store as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.domain.stock.store_day import Day, Seller, StoreDays

V1 = {
    "new": StoreDays([], -1, []),
    "two-days": StoreDays(
        [
            Day(20_415, 1_240, [Seller("2000000000015", 96_000), Seller("plu-4011", 61_512)], 7),
            Day(20_416, 3, [Seller("2000000000411", 1_000)], 0),
        ],
        20_414,
        ["count-0045-1"],
    ),
}

SAMPLES = {1: V1}
