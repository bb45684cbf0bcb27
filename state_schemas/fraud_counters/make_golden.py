"""Write the golden bytes of the current version, once, when it is released; never over an old file."""

from __future__ import annotations

import sys
from pathlib import Path

from state_schemas.fraud_counters import CURRENT, encode
from tillstream.domain.fraud import Counters, id_hash

GOLDEN = Path(__file__).parent / "golden"
NOW = 1_764_000_000_000
DAY = NOW // 86_400_000

STATES = {
    "one-sale": Counters(
        [[NOW // width, 1, 45_000] for width in (5_000, 50_000, 300_000, 7_200_000)],
        [DAY, 1, 0],
        NOW,
        [id_hash("0045-03-20251124-000001")],
        [],
    ),
    "busy-with-frauds": Counters(
        [
            [NOW // 5_000 - 1, 2, 90_000, NOW // 5_000, 1, 45_000],
            [NOW // 50_000 - 11, 9, 400_000, NOW // 50_000, 3, 135_000],
            [NOW // 300_000 - 1, 70, 3_000_000, NOW // 300_000, 3, 135_000],
            [NOW // 7_200_000 - 11, 812, 36_000_000_000, NOW // 7_200_000, 73, 3_135_000],
        ],
        [DAY - 44, 901, 3, DAY - 7, 877, 1, DAY, 885, 0],
        NOW,
        [id_hash(f"0045-03-20251124-{n:06d}") for n in range(16)],
        [id_hash(f"0045-03-20251011-{n:06d}") for n in range(4)],
    ),
}


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name, state in STATES.items():
        path = GOLDEN / f"v{CURRENT}-{name}.bin"
        if path.exists():
            print(f"{path.name} is released and stays as it is", file=sys.stderr)
            continue
        path.write_bytes(encode(state))


if __name__ == "__main__":
    main()
