"""Transfers as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.domain.stock.transfers import Carried, Transfer

NOON = 1_764_000_000_000
HOUR = 3_600_000

V1 = {
    "settled": Transfer(0, 0, 0, 0, {}),
    "one-end": Transfer(45, 0, NOON, NOON + 48 * HOUR, {"2000000000411": Carried(50, 0, -1, -1)}),
    "told": Transfer(
        45, 46, NOON, NOON + 48 * HOUR,
        {"2000000000411": Carried(50, 30, 50, 30), "plu-4011": Carried(6_000, 6_000, -1, -1)},
    ),
}  # fmt: skip

SAMPLES = {1: V1}
