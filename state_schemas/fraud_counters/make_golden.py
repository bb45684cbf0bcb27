"""Write the golden bytes of the current version, once, when it is released; never over an old file."""

from __future__ import annotations

import sys
from pathlib import Path

from state_schemas.fraud_counters import CURRENT, encode
from tillstream.domain.fraud import Counters, label, observe

GOLDEN = Path(__file__).parent / "golden"
T0 = 1_764_000_000_000
DAY_MS = 86_400_000


def states() -> dict[str, Counters]:
    one, _ = observe(None, 7, T0, 40_000)
    busy = None
    for n in range(200):
        busy, _ = observe(busy, n, T0 + n * DAY_MS // 9, 10_000 + n)
    label(busy, 3, T0 + 3 * DAY_MS // 9, True)
    label(busy, 190, T0 + 190 * DAY_MS // 9, True)
    assert busy is not None
    return {"one-sale": one, "busy-with-frauds": busy}


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name, state in states().items():
        path = GOLDEN / f"v{CURRENT}-{name}.bin"
        if path.exists():
            print(f"{path.name} is released and stays as it is", file=sys.stderr)
            continue
        path.write_bytes(encode(state))


if __name__ == "__main__":
    main()
