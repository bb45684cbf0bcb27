"""Parquet in memory: rows, and a process that has read some ends as it should."""

from __future__ import annotations

import io
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tillstream.clients import parquet

READS_AND_ENDS = """
import sys
from tillstream.clients import parquet
body = sys.stdin.buffer.read()
assert sum(batch.num_rows for batch in parquet.batches(body)) == 3000
assert parquet.table(body, ["a", "b"]).num_rows == 3000
"""


@pytest.fixture
def body() -> bytes:
    out = io.BytesIO()
    columns = {name: [f"{name}{i * 7919}" for i in range(3000)] for name in "abcdefgh"}
    pq.write_table(pa.table(columns), out, compression="zstd")
    return out.getvalue()


def test_rows_come_whole_by_column_and_by_batch(body: bytes) -> None:
    assert parquet.table(body, ["c"]).to_pydict() == {"c": [f"c{i * 7919}" for i in range(3000)]}
    assert parquet.table(body).num_columns == 8
    read = pa.Table.from_batches(list(parquet.batches(body, 1000)))
    assert read == parquet.table(body)


def test_a_process_that_has_read_ends_well(body: bytes) -> None:
    # With pyarrow's pool threads one in four aborts at its end, once the cores are busy.
    for _ in range(3):
        started = [
            subprocess.Popen(
                [sys.executable, "-c", READS_AND_ENDS],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(6)
        ]
        for process in started:
            assert process.stdin is not None
            process.stdin.write(body)
            process.stdin.close()
        for process in started:
            assert process.stderr is not None
            said = process.stderr.read().decode()
            assert process.wait(60) == 0, said
            process.stderr.close()
