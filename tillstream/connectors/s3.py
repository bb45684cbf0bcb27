"""Parquet files on S3, exactly once, in folders by date and region."""

from __future__ import annotations

from pyflink.datastream import DataStream

from tillstream.catalog.resources import History
from tillstream.connectors.context import JobContext
from tillstream.connectors.gateway import add_sink, ours


def parquet_sink(
    context: JobContext, stream: DataStream, history: History, uid: str, apart: bool = False
) -> None:
    """JSON bytes as Parquet rows of ``history``.

    A file appears when the checkpoint that closed it is complete; its name begins with the job's.
    ``apart``: in a thread of its own, so that closing a file holds nobody up.
    """
    prefix, s3 = context.prefix(history), context.conf.s3
    row = ours().ParquetFiles.rowType(history.row_type)
    folder = f"{s3.scheme}://{s3.bucket}/{prefix}"
    rows = (
        stream._j_data_stream.map(ours().JsonToRow(row)).uid(f"{uid}-rows").name(f"{prefix} rows")
    )
    if apart:
        rows.startNewChain()
    files = ours().ParquetFiles
    # Several jobs may write one history: compacting it has to tell whose a file is.
    part = f"{context.job.name}-{uid}"
    sink = files.sink(folder, row, history.date, history.region, part, "ZSTD")
    add_sink(DataStream(rows), sink, uid, f"{prefix} to S3")
