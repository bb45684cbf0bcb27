"""What the archive writes to Parquet, with the sink's own Java classes, comes back as it was written."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.batched_harness import BatchedHarness
from tests.support.classes import job_classes
from tests.support.receipts import canonical_receipts
from tests.support.sales import canonical, sale
from tillstream.catalog.tables import ARCHIVE
from tillstream.connectors.gateway import java
from tillstream.domain.envelope import seal
from tillstream.domain.receipt.canonical import Item, Paid, Receipt
from tillstream.history.compact import _merged
from tillstream.replay.backfill import rows
from tillstream.replay.coverage import Survey
from tillstream.replay.stream_reach import Gap
from tillstream.sim.fuzz import fuzzed
from tillstream.udfs.archive import ArchiveOnce
from tillstream.udfs.stage import StageSettings

STREAM, T0 = "kafka:transactions", 1_764_000_000_000


@pytest.fixture(scope="session")
def classes() -> Any:
    return job_classes()


def archived(written: list[bytes]) -> list[bytes]:
    """What the stage makes of these records, each under an id of its own."""
    stage = BatchedHarness(ArchiveOnce(StageSettings("archive")))
    sealed = [seal(f"{STREAM}/3/{n}", T0 + n, raw) for n, raw in enumerate(written)]
    return stage.process(*((f"key-{n}", one) for n, one in enumerate(sealed)))


def parquet(classes: Any, found: list[bytes], folder: Path) -> bytes:
    """As the sink's writer makes a file of them."""
    flink, file = java().org.apache.flink, folder / "rows.parquet"
    row_type = classes.ParquetFiles.rowType(ARCHIVE.row_type)
    plain = java().org.apache.hadoop.conf.Configuration(False)
    build = flink.formats.parquet.row.ParquetRowDataBuilder
    out = flink.core.fs.local.LocalDataOutputStream(java().java.io.File(str(file)))
    writer = build.createWriterFactory(row_type, plain, True).create(out)
    to_row = classes.JsonToRow(row_type)
    for one in found:
        writer.addElement(to_row.map(one))
    writer.finish()
    out.close()
    return file.read_bytes()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(receipts=st.lists(canonical_receipts(), min_size=1, max_size=4))
def test_an_archived_transaction_is_put_back_byte_for_byte(classes, tmp_path, receipts):
    written = [msgspec.json.encode(receipt) for receipt in receipts]
    body = parquet(classes, archived(written), tmp_path)
    gap = Survey(Gap({3: (0, len(written))}), STREAM)
    back = list(rows(body, gap))
    assert [row.raw for row in back] == written
    assert [msgspec.json.decode(row.raw, type=Receipt) for row in back] == receipts
    assert [(row.place, row.taken_ms, row.origin) for row in back] == [
        ((3, n), T0 + n, f"{STREAM}/3/{n}") for n in range(len(written))
    ]
    assert [row.key for row in back] == [receipt.key for receipt in receipts]
    schema = pq.read_schema(io.BytesIO(body)).remove_metadata()
    compacted = _merged(schema, [body, body], "date=2026-01-05")
    assert [row.raw for row in rows(compacted, gap)] == written * 2


def test_whatever_the_stage_lets_through_fits_its_columns(classes, tmp_path):
    """Else one record that somebody has put into the topic would stop the job for good."""
    rng, good = Random(3), canonical(sale())
    records = [fuzzed(good, rng) for _ in range(1_000)]
    found = archived([raw for raw in records if len(raw) < 100_000])
    body = parquet(classes, found, tmp_path)
    assert pq.read_metadata(io.BytesIO(body)).num_rows == len(found) > 100


def test_every_field_has_its_column_and_is_null_where_it_has_a_default(classes):
    """So that a row comes back with the bytes that it had."""
    (columns,) = [classes.ParquetFiles.rowType(ARCHIVE.row_type)]

    def of(row: Any) -> list[tuple[str, bool]]:
        return [(one.getName(), one.getType().isNullable()) for one in row.getFields().toArray()]

    def fields(struct: Any) -> list[tuple[str, bool]]:
        return [(one.name, not one.required) for one in msgspec.structs.fields(struct)]

    ours = [("place", False), ("taken_ms", False)]
    assert of(columns) == ours + fields(Receipt)
    types = {one.getName(): one.getType() for one in columns.getFields().toArray()}
    assert of(types["lines"].getElementType()) == fields(Item)
    assert of(types["tenders"].getElementType()) == fields(Paid)
