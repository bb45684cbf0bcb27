"""The Parquet sink's own names."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import MagicMock

from tillstream.catalog import tables
from tillstream.connectors import s3
from tillstream.history.files import File


def test_a_files_name_says_which_job_wrote_it(monkeypatch):
    """All jobs write dead letters to one prefix, with one uid."""
    ours = MagicMock()
    for name, value in (
        ("ours", lambda: ours),
        ("DataStream", MagicMock()),
        ("add_sink", MagicMock()),
    ):
        monkeypatch.setattr(s3, name, value)
    context = SimpleNamespace(
        prefix=lambda history: history.default,
        job=SimpleNamespace(name="loyalty"),
        conf=SimpleNamespace(s3=SimpleNamespace(scheme="s3", bucket="tillstream")),
    )
    s3.parquet_sink(context, MagicMock(), tables.DEAD_LETTERS, uid="dead-letter-history")
    part = ours.ParquetFiles.sink.call_args.args[4]
    # As Flink goes on.
    key = f"dead-letters/date=2026-01-05/{part}-0b5d2c1e-6f4a-4a55-9d0c-3b1f7a8e9c21-0.parquet"
    assert File(key, 0).writer == "loyalty-dead-letter-history"
