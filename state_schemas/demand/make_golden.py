"""Write the golden bytes of the current version, once, when it is released; never over an old file."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

from state_schemas.demand import CURRENT, encode
from tillstream.domain.demand import Demand

GOLDEN = Path(__file__).parent / "golden"

DEMANDS = {
    "new": Demand(),
    "bread-at-noon": Demand(
        20_416, [0] * 8 + [12, 31, 28, 7] + [0] * 12, 0b1000_0000_0000, 1.5, 1.0, 9,
        0.75, 40.25, 910.0, 700.0, struct.pack("<86f", *[n / 4 for n in range(86)]),
    ),
}  # fmt: skip


def main() -> None:
    for name, demand in DEMANDS.items():
        path = GOLDEN / f"v{CURRENT}-{name}.bin"
        if path.exists():
            print(f"{path.name} is released and stays as it is", file=sys.stderr)
            continue
        path.write_bytes(encode(demand))


if __name__ == "__main__":
    main()
