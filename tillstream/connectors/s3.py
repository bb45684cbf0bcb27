"""Parquet files on S3, exactly once, in folders by date and region."""

from __future__ import annotations

from pyflink.datastream import DataStream

from tillstream.conf import Conf
from tillstream.connectors.gateway import add_sink, ours


def parquet_sink(
    stream: DataStream,
    conf: Conf,
    prefix: str,
    row_type: str,
    date_field: str,
    region_field: str | None,
    uid: str,
    apart: bool = False,
) -> None:
    """JSON bytes as Parquet rows of the SQL type ``row_type``.

    ``date_field``: column of epoch ms whose UTC date names the folder; ``region_field``: column of
    the second folder level. A file appears when the checkpoint that closed it is complete.
    ``apart``: in a thread of its own, so that closing a file holds nobody up.
    """
    row = ours().ParquetFiles.rowType(row_type)
    folder = f"{conf.s3.scheme}://{conf.s3.bucket}/{prefix}"
    rows = (
        stream._j_data_stream.map(ours().JsonToRow(row)).uid(f"{uid}-rows").name(f"{prefix} rows")
    )
    if apart:
        rows.startNewChain()
    sink = ours().ParquetFiles.sink(folder, row, date_field, region_field, uid, "ZSTD")
    add_sink(DataStream(rows), sink, uid, f"{prefix} to S3")
