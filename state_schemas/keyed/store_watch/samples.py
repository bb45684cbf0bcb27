"""Watches as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

from tillstream.domain.demand import model
from tillstream.domain.promotions import promotion
from tillstream.domain.shortage import shelves, silence
from tillstream.state_schemas.keyed.store_watch import v1

DAY, NOON_MS = 20_416, 1_763_978_400_000
BREAD, ROLLS = "2000000000015", "2000000000022"
NEVER = 2**62
SUMS = struct.pack("<86f", *[n / 4 for n in range(86)])


def _watches(demand: ModuleType, appeal: ModuleType, promotions: ModuleType, stores: ModuleType,
             *zone: str) -> dict[str, Any]:  # fmt: skip
    """By the structs of these modules; ``zone``: since version 2."""
    nothing = demand.Demand(DAY, [0] * 24, 0, 1.0, 1.0, 0, 0.0, 0.0, 0.0, 0.0, bytes(344))
    sold = demand.Demand(
        DAY, [0] * 8 + [12, 31, 28, 7] + [0] * 12, 0b1000_0000_0000, 1.5, 1.0, 9,
        0.75, 40.25, 910.0, 700.0, SUMS,
    )  # fmt: skip
    unknown = appeal.Appeal([0] * 24, 0, 0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, bytes(192))
    liked = appeal.Appeal(
        [0] * 8 + [10, 25, 20, 6] + [0] * 12, 11, 40, 91.0, 88.5, 2.5, 7, 30.5, 0.5, 29.25,
        struct.pack("<48f", *[n / 2 for n in range(48)]),
    )  # fmt: skip
    promoted = promotions.Promotion("promo-0001", 2, NOON_MS - 7_200_000, NOON_MS + 86_400_000, 150)
    bread = stores.Shelf(sold, liked, NOON_MS, 40, 17, NOON_MS, "running_out",
                         NOON_MS - 600_000, DAY, 2, NOON_MS + 3_600_000)  # fmt: skip
    rolls = stores.Shelf(nothing, unknown, 0, None, -1, 0, "ok", 0, 0, 0, 0)
    return {
        "new": stores.StoreWatch("", 0, 0, 0, 0, 0, nothing, {}, NEVER, b"", *zone, {}),
        "a-shelf-runs-out-under-a-promotion": stores.StoreWatch(
            "gauteng", NOON_MS, NOON_MS - 20_000, 0, NOON_MS + 600_000, 3, sold,
            {BREAD: [promoted]}, NOON_MS + 86_400_000, bytes(range(16)), *zone,
            {BREAD: bread, ROLLS: rolls},
        ),
    }  # fmt: skip


V1 = _watches(v1, v1, v1, v1)
V2 = _watches(model, silence, promotion, shelves, "Africa/Nairobi")

SAMPLES = {1: V1, 2: V2}
