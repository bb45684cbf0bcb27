"""Watches as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

import struct

from tillstream.domain.demand.model import Demand
from tillstream.domain.promotions.promotion import Promotion
from tillstream.domain.shortage.shelves import Shelf, StoreWatch
from tillstream.domain.shortage.silence import Appeal

DAY, NOON_MS = 20_416, 1_763_978_400_000
BREAD, ROLLS = "2000000000015", "2000000000022"
NEVER = 2**62
NOTHING = Demand(DAY, [0] * 24, 0, 1.0, 1.0, 0, 0.0, 0.0, 0.0, 0.0, bytes(344))
SOLD = Demand(
    DAY, [0] * 8 + [12, 31, 28, 7] + [0] * 12, 0b1000_0000_0000, 1.5, 1.0, 9,
    0.75, 40.25, 910.0, 700.0, struct.pack("<86f", *[n / 4 for n in range(86)]),
)  # fmt: skip
UNKNOWN = Appeal([0] * 24, 0, 0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, bytes(192))
LIKED = Appeal(
    [0] * 8 + [10, 25, 20, 6] + [0] * 12, 11, 40, 91.0, 88.5, 2.5, 7, 30.5, 0.5, 29.25,
    struct.pack("<48f", *[n / 2 for n in range(48)]),
)  # fmt: skip

V1 = {
    "new": StoreWatch("", 0, 0, 0, 0, 0, NOTHING, {}, NEVER, b"", {}),
    "a-shelf-runs-out-under-a-promotion": StoreWatch(
        "gauteng", NOON_MS, NOON_MS - 20_000, 0, NOON_MS + 600_000, 3, SOLD,
        {BREAD: [Promotion("promo-0001", 2, NOON_MS - 7_200_000, NOON_MS + 86_400_000, 150)]},
        NOON_MS + 86_400_000, bytes(range(16)),
        {
            BREAD: Shelf(SOLD, LIKED, NOON_MS, 40, 17, NOON_MS, "running_out",
                            NOON_MS - 600_000, DAY, 2, NOON_MS + 3_600_000),
            ROLLS: Shelf(NOTHING, UNKNOWN, 0, None, -1, 0, "ok", 0, 0, 0, 0),
        },
    ),
}  # fmt: skip

SAMPLES = {1: V1}
