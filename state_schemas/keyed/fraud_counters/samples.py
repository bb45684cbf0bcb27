"""Counts as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.domain.fraud.counters import Counters, Habit
from tillstream.state_schemas.keyed.fraud_counters import v1

V1 = {
    "new": v1.Counters([[], [], [], []], [], 0, [], []),
    "busy": v1.Counters(
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

V2 = {
    "till": Counters([[], [], [], []], [20_400, 210, 3], 1_764_000_000_000, [17], []),
    "card": Counters(
        [[], [], [490_000, 1, 40_000], [20_416, 1, 40_000]],
        [20_400, 2, 0],
        1_764_000_000_000,
        [17, 2**32 - 1],
        [],
        Habit(41, 10.3125, 0.25, -0.5, -0.75, 23, 1_764_000_000_000),
    ),
    "card-of-version-1": Counters([[], [], [], []], [20_400, 2, 0], 1, [17], []),
}

SAMPLES = {1: V1, 2: V2}
