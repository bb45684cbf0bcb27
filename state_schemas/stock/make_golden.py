"""Write the golden bytes of the current version, once, when it is released; never over an old file."""

from __future__ import annotations

import sys
from pathlib import Path

from state_schemas.stock import CURRENT, encode
from tillstream.domain.promotion import Promotion
from tillstream.domain.recent_lines import Recent, add, fingerprint
from tillstream.domain.stock import Demand, OpenOrder, Stock

GOLDEN = Path(__file__).parent / "golden"
NOON = 1_764_000_000_000
DAY = 86_400_000


def _recent() -> Recent:
    recent = Recent()
    add(recent, fingerprint("0045-03-20251124-000001/1"), NOON, -2, 3 * DAY)
    add(recent, fingerprint("M:count-0045-1/1"), NOON + 1, 0, 3 * DAY)
    return recent


STOCKS = {
    "new": Stock(),
    "sold-from-without-a-count": Stock(
        1, -2, newest_ms=NOON, recent=_recent(), below_zero=True, belows=1,
        demand=Demand(20_416, 2),
    ),
    "low-with-orders-and-a-promotion": Stock(
        931, 12, NOON - DAY, "M:count-0045-1/1", NOON, _recent(), True, False, 3, 0, 17, 200, 84,
        300, NOON + DAY, NOON - 5, Demand(20_416, 55, False, 14, 61_250, 148_900),
        [OpenOrder("45-2000000000015-000016", 120, NOON - DAY),
         OpenOrder("45-2000000000015-000017", 168, NOON)],
        [Promotion("bread-week-48", 2, NOON - DAY, NOON + DAY, 150)],
    ),
}  # fmt: skip


def main() -> None:
    for name, stock in STOCKS.items():
        path = GOLDEN / f"v{CURRENT}-{name}.bin"
        if path.exists():
            print(f"{path.name} is released and stays as it is", file=sys.stderr)
            continue
        path.write_bytes(encode(stock))


if __name__ == "__main__":
    main()
