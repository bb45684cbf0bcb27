"""Write the golden bytes of the current version, once, when it is released; never over an old file."""

from __future__ import annotations

import sys
from pathlib import Path

from state_schemas.shortage_area import CURRENT, encode
from state_schemas.store_watch.make_golden import DAY, NOON_MS, demand
from tillstream.domain.regional import Area

GOLDEN = Path(__file__).parent / "golden"

AREAS = {
    "new": Area(),
    "four-stores-short": Area(
        demand(), {1: NOON_MS - 3_600_000, 45: NOON_MS, 2900: NOON_MS, 7: NOON_MS}, NOON_MS,
        DAY, 1, 4, 9,
    ),
}  # fmt: skip


def main() -> None:
    for name, area in AREAS.items():
        path = GOLDEN / f"v{CURRENT}-{name}.bin"
        if path.exists():
            print(f"{path.name} is released and stays as it is", file=sys.stderr)
            continue
        path.write_bytes(encode(area))


if __name__ == "__main__":
    main()
