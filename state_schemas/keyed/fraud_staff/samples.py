"""Books as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.domain.staff import Book

V1 = {
    "new": Book(
        [[[], [], [], []], [[], [], [], []], [[], [], [], []]], 0, [], 0, [], [0, 0, 0, 0], []
    ),
    "busy": Book(
        [
            [
                [29_400_001, 1, 200_000],
                [2_940_000, 9, 1_800_000],
                [490_000, 31, 0],
                [20_416, 64, 1],
            ],
            [[], [], [], [20_416, 1, 40_000]],
            [[], [], [], []],
        ],
        20_417,
        [20_416, 3, 60_000, 1, 40_000, 0, 0, 20_417, 64, 12_800_000, 0, 0, 2, 1_500],
        210,
        [2**32 - 1, 30, 17, 2],
        [12_800_000, 0, 0, 30],
        [1, 2**32 - 1],
    ),
}

SAMPLES = {1: V1}
