"""Reads Parquet files that are whole in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq


def table(body: bytes, columns: Iterable[str] | None = None) -> pa.Table:
    """The file's rows; ``columns`` alone where given. Raises pyarrow.ArrowInvalid.

    On this thread only: a pool thread of pyarrow that lets go of our bytes while Python ends aborts
    the process ("terminate called without an active exception"), after all had gone well.
    """
    file = pq.ParquetFile(pa.BufferReader(body))
    return file.read(columns=None if columns is None else list(columns), use_threads=False)


def batches(body: bytes, rows: int = 4096) -> Iterator[pa.RecordBatch]:
    """The file's rows by batches of at most ``rows``, on this thread only (see ``table``)."""
    yield from pq.ParquetFile(pa.BufferReader(body)).iter_batches(rows, use_threads=False)
