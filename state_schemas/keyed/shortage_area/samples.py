"""Areas as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

import struct

from tillstream.domain.demand.model import Demand
from tillstream.domain.shortage.regional import Area

DAY, NOON_MS = 20_416, 1_763_978_400_000
NOTHING = Demand(-1, [], 0, 1.0, 1.0, 0, 0.0, 0.0, 0.0, 0.0, bytes(344))
SOME = Demand(
    DAY, [0] * 10 + [3, 1] + [0] * 12, 0, 1.0, 1.0, 0, 0.5, 20.0, 30.0, 30.0,
    struct.pack("<86f", *[n / 8 for n in range(86)]),
)  # fmt: skip

V1 = {
    "new": Area(NOTHING, {}, 0, 0, 0, 0, 0),
    "four-stores-short": Area(
        SOME, {1: NOON_MS - 3_600_000, 45: NOON_MS, 2900: NOON_MS, 7: NOON_MS}, NOON_MS,
        DAY, 1, 4, 9,
    ),
}  # fmt: skip

SAMPLES = {1: V1}
