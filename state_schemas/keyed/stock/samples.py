"""Stocks as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

import struct

from tillstream.state_schemas.keyed.stock import v1

NOON = 1_764_000_000_000
DAY = 86_400_000
NO_DEMAND = v1.Demand(-1, [0], 0, 1.0, 1.0, 0, 0.0, 0.0, 0.0, 0.0, bytes(56))
SOLD = v1.Demand(
    20_416, [55], 0b1000, 1.5, 1.0, 0, 0.75, 12.5, 910.0, 700.0,
    struct.pack("<14f", *[n / 4 for n in range(14)]),
)  # fmt: skip

V1 = {
    "new": v1.Stock(
        0, 0, -1, "", 0, v1.Recent(-1, -1, b"", 0), False, False, 0, 0, 0, 0, -1, 0, 0, 2**62,
        0, NO_DEMAND, [], [],
    ),
    "sold-from-without-a-count": v1.Stock(
        1, -2, -1, "", NOON, v1.Recent(NOON, -1, bytes(range(16)), 12), False, True, 0, 1, 0, 0, -1,
        0, 0, 2**62, 0, v1.Demand(20_416, [2], 1, 1.0, 1.0, 0, 0.0, 0.0, 2.0, 2.0, bytes(56)), [], [],
    ),
    "low-with-orders-and-a-promotion": v1.Stock(
        931, 12, NOON - DAY, "M:count-0045-1/1", NOON,
        v1.Recent(NOON, NOON - 3 * DAY, bytes(range(32)), 12), True, False, 3, 0, 17, 200, 84, 300,
        61_250, NOON + DAY, NOON - 5, SOLD,
        [v1.OpenOrder("45-2000000000015-000016", 120, NOON - DAY),
         v1.OpenOrder("45-2000000000015-000017", 168, NOON)],
        [v1.Promotion("bread-week-48", 2, NOON - DAY, NOON + DAY, 150)],
    ),
}  # fmt: skip

SAMPLES = {1: V1}
