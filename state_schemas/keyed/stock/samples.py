"""Stocks as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

import struct

from tillstream.domain.demand.model import Demand
from tillstream.domain.promotions.promotion import Promotion
from tillstream.domain.stock.ledger import OpenOrder, Stock
from tillstream.domain.stock.recent_lines import Recent

NOON = 1_764_000_000_000
DAY = 86_400_000
NO_DEMAND = Demand(-1, [0], 0, 1.0, 1.0, 0, 0.0, 0.0, 0.0, 0.0, bytes(56))
SOLD = Demand(
    20_416, [55], 0b1000, 1.5, 1.0, 0, 0.75, 12.5, 910.0, 700.0,
    struct.pack("<14f", *[n / 4 for n in range(14)]),
)  # fmt: skip

V1 = {
    "new": Stock(
        0, 0, -1, "", 0, Recent(-1, -1, b"", 0), False, False, 0, 0, 0, 0, -1, 0, 0, 2**62,
        0, NO_DEMAND, [], [],
    ),
    "sold-from-without-a-count": Stock(
        1, -2, -1, "", NOON, Recent(NOON, -1, bytes(range(16)), 12), False, True, 0, 1, 0, 0, -1,
        0, 0, 2**62, 0, Demand(20_416, [2], 1, 1.0, 1.0, 0, 0.0, 0.0, 2.0, 2.0, bytes(56)), [], [],
    ),
    "low-with-orders-and-a-promotion": Stock(
        931, 12, NOON - DAY, "M:count-0045-1/1", NOON,
        Recent(NOON, NOON - 3 * DAY, bytes(range(32)), 12), True, False, 3, 0, 17, 200, 84, 300,
        61_250, NOON + DAY, NOON - 5, SOLD,
        [OpenOrder("45-2000000000015-000016", 120, NOON - DAY),
         OpenOrder("45-2000000000015-000017", 168, NOON)],
        [Promotion("bread-week-48", 2, NOON - DAY, NOON + DAY, 150)],
    ),
}  # fmt: skip

SAMPLES = {1: V1}
