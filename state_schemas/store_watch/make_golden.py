"""Write the golden bytes of the current version, once, when it is released; never over an old file."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

from state_schemas.store_watch import CURRENT, encode
from tillstream.domain.demand import Demand
from tillstream.domain.promotion import Promotion
from tillstream.domain.shortage import Shelf, StoreWatch
from tillstream.domain.silence import Appeal, new_appeal

GOLDEN = Path(__file__).parent / "golden"
DAY, NOON_MS = 20_416, 1_763_978_400_000
BREAD, ROLLS = "2000000000015", "2000000000022"


def demand() -> Demand:
    """Of a shop that sells from eight to noon."""
    return Demand(
        DAY, [0] * 8 + [12, 31, 28, 7] + [0] * 12, 0b1000_0000_0000, 1.5, 1.0, 9,
        0.75, 40.25, 910.0, 700.0, struct.pack("<86f", *[n / 4 for n in range(86)]),
    )  # fmt: skip


def appeal() -> Appeal:
    return Appeal(
        [0] * 8 + [10, 25, 20, 6] + [0] * 12, 11, 40, 91.0, 88.5, 2.5, 7, 30.5, 0.5, 29.25,
        struct.pack("<48f", *[n / 2 for n in range(48)]),
    )  # fmt: skip


WATCHES = {
    "new": StoreWatch(),
    "a-shelf-runs-out-under-a-promotion": StoreWatch(
        "gauteng", NOON_MS, NOON_MS - 20_000, 0, NOON_MS + 600_000, 3, demand(),
        {BREAD: [Promotion("promo-0001", 2, NOON_MS - 7_200_000, NOON_MS + 86_400_000, 150)]},
        NOON_MS + 86_400_000, bytes(range(16)),
        {
            BREAD: Shelf(demand(), appeal(), NOON_MS, 40, 17, NOON_MS, "running_out",
                         NOON_MS - 600_000, DAY, 2, NOON_MS + 3_600_000),
            ROLLS: Shelf(Demand(DAY, [0] * 24), new_appeal()),
        },
    ),
}  # fmt: skip


def main() -> None:
    for name, watch in WATCHES.items():
        path = GOLDEN / f"v{CURRENT}-{name}.bin"
        if path.exists():
            print(f"{path.name} is released and stays as it is", file=sys.stderr)
            continue
        path.write_bytes(encode(watch))


if __name__ == "__main__":
    main()
