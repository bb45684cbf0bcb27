"""Write the golden bytes of the current version, once, when it is released; never over an old file."""

from __future__ import annotations

import sys
from pathlib import Path

from state_schemas.fraud_profile import CURRENT, encode
from tillstream.domain.fraud import Profile, Sale, id_hash

GOLDEN = Path(__file__).parent / "golden"
NOW = 1_764_000_000_000
OWN, OTHER = id_hash("tok_7f3k9q2m5x8b1c4d"), id_hash("tok_zzz1yyy2xxx3www4")
HELD = Sale(id_hash("0156-04-20251124-000009"), NOW, 300_000, 156, 2.25, OTHER, 1, (7, 65_535))

STATES = {
    "new": Profile(
        sales=0, first_ms=NOW, newest_ms=NOW, level=0.0, spread=0.6, hour_x=0.0, hour_y=0.0,
        last_store=0, last_ms=0, stores=[], cards=[], methods=0, categories=[],
        windows=[[], [], [], []], heat=0.0, heat_ms=NOW, high=0.0, peak=0.0, peak_ms=0,
        watch_until_ms=0, watch_cause=0, recent=[], held=[], frauds=0, first_fraud_ms=0,
        last_fraud_ms=0, labelled=[],
    ),
    "of-habit-held-and-watched": Profile(
        sales=31, first_ms=NOW - 5_184_000_000, newest_ms=NOW, level=10.59375, spread=0.25,
        hour_x=0.125, hour_y=-0.9375, last_store=23, last_ms=NOW - 86_400_000,
        stores=[45, 2, 23, 29], cards=[OTHER, 1, 1, OWN, 30, 0], methods=3,
        categories=[12, 3_456, 65_535],
        windows=[[NOW // width, 1, 300_000] for width in (5_000, 50_000, 300_000, 7_200_000)],
        heat=1.5, heat_ms=NOW, high=2.25, peak=7.5, peak_ms=NOW,
        watch_until_ms=NOW + 259_200_000, watch_cause=HELD.transaction,
        recent=[1, 4_294_967_295, HELD.transaction], held=[HELD], frauds=1,
        first_fraud_ms=NOW - 864_000_000, last_fraud_ms=NOW - 864_000_000, labelled=[77],
    ),
}  # fmt: skip


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
