"""Counts as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.domain.fraud.counters import Counters

V1 = {
    "new": Counters([[], [], [], []], [], 0, [], []),
    "busy": Counters(
        [
            [29_400_001, 2, 35_000],
            [2_940_000, 9, 410_000],
            [490_000, 31, 1_200_000],
            [20_416, 64, -1],
        ],
        [20_400, 210, 3, 20_401, 190, 0],
        1_764_000_000_000,
        [2**63 - 1, 0, 17],
        [4_611_686_018_427_387_904],
    ),
}

SAMPLES = {1: V1}
