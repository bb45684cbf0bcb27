"""The sales job's windows on a mini cluster: a till whose clock is ahead closes none for the others."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from pyflink.common import Duration, Row, Types, WatermarkStrategy
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.file_system import FileSource, StreamFormat

from tests.support.collected import collected
from tests.support.engine import engine
from tests.support.sales import PRODUCT, T0, encoded, sale
from tillstream.conf import load
from tillstream.connectors import tracking
from tillstream.connectors.gateway import ours
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


def quiet(env: StreamExecutionEnvironment, folder: Path) -> DataStream:
    """Two sales, then nothing more from a source that does not end; idle after 0.2 s."""
    (folder / "sales").write_text("1\n2\n")
    lines = FileSource.for_record_stream_format(
        StreamFormat.text_line_format(), str(folder / "sales")
    )
    source = lines.monitor_continuously(Duration.of_seconds(1)).build()
    times = WatermarkStrategy.for_monotonous_timestamps().with_idleness(Duration.of_millis(200))

    def sealed(line: str) -> Row:
        one = sold(int(line), T0)
        return Row(one["transaction_id"], seal(f"kafka:tills/0/{line}", T0, encoded(one)))

    rows = env.from_source(source, times, "quiet").uid("quiet").map(sealed, ROW)
    return DataStream(ours().EndOfTime.behind(rows._j_data_stream))


@pytest.mark.parametrize("drain", [True, False])
def test_only_a_drain_closes_the_windows_of_a_quiet_source(drain, tmp_path):
    env = engine(**{"pipeline.auto-watermark-interval": "1 ms"})
    read, made = tmp_path / "read", tmp_path / "made"

    def told(row: Row) -> Row:
        with read.open("a") as file:
            file.write(f"{row[0]}\n")
        return row

    def kept(value: bytes) -> bytes:
        with made.open("ab") as file:
            file.write(value + b"\n")
        return value

    rows = quiet(env, tmp_path).map(told, ROW)
    lines = tracking.lines(rows, load("local", {}))
    tracking.additions(lines, MINUTE_MS, {PRODUCT: 1_000}, "minutes").map(kept, BYTES).print()
    job = env.execute_async()
    while not read.exists() or read.read_text().count("\n") < 2:
        time.sleep(0.1)
    time.sleep(1)  # idle
    assert not made.exists()
    job.stop_with_savepoint(drain, f"file://{tmp_path}/saved").result()
    job.get_job_execution_result().result()
    found = made.read_text().splitlines() if made.exists() else []
    assert [json.loads(line)["lines"] for line in found] == ([2] if drain else [])
