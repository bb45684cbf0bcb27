"""The sales job's windows on a mini cluster: a till whose clock is ahead closes none for the others."""

from __future__ import annotations

import json
import time
from typing import Any

from pyflink.common import Row, Types

from tests.support.collected import collected
from tests.support.engine import engine
from tests.support.sales import PRODUCT, T0, encoded, sale
from tillstream.conf import load
from tillstream.connectors import tracking
from tillstream.domain.envelope import seal
from tillstream.udfs.engine import BYTES

ROW = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
MINUTE_MS = 60_000


def slowly(row: Row) -> Row:
    time.sleep(0.02)  # so that watermarks come between the records
    return row


def windows(sales: list[tuple[dict[str, Any], int]]) -> list[dict[str, Any]]:
    """What (sale, arrived_ms) come to by the minute."""
    env = engine(**{"pipeline.auto-watermark-interval": "1 ms", "execution.buffer-timeout": "0 ms"})
    rows = [
        Row(sold["transaction_id"], seal(f"kafka:tills/0/{n}", arrived_ms, encoded(sold)))
        for n, (sold, arrived_ms) in enumerate(sales)
    ]
    slow = env.from_collection(rows, ROW).map(slowly, ROW)
    lines = tracking.lines(slow, load("local", {}))
    made = tracking.additions(lines, MINUTE_MS, {PRODUCT: 1_000}, "minutes")
    return [json.loads(value) for value in collected(made)]


def sold(number: int, at_ms: int) -> dict[str, Any]:
    return sale(f"0045-03-20251124-{number:06d}", at_ms)


def test_a_sale_of_2096_makes_no_other_late():
    of_today = [(sold(n, T0 + n), T0 + n) for n in range(100, 120)]
    made = windows([(sold(1, T0), T0), (sold(2, 4_000_000_000_000), T0 + 50), *of_today])
    assert [(one["window_start_ms"], one["lines"], one["late"]) for one in made] == [
        (T0 - T0 % MINUTE_MS, 21, False)
    ]


def test_a_till_a_little_ahead_makes_no_other_late():
    ahead_ms = 4 * MINUTE_MS
    others = [(sold(n, T0 + n), T0 + n) for n in range(100, 120)]
    made = windows([(sold(1, T0 + ahead_ms), T0), *others])
    assert sorted((one["window_start_ms"] - T0, one["lines"], one["late"]) for one in made) == [
        (0, 20, False),
        (ahead_ms, 1, False),
    ]


def test_a_sale_that_was_refused_counts_once_repaired():
    made = windows([(sold(1, T0 + 60 * MINUTE_MS), T0), (sold(1, T0), T0 + 10)])
    assert [(one["window_start_ms"], one["lines"]) for one in made] == [(T0, 1)]
