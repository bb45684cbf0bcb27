"""Where every job's dead letters go: to their topic, and as history to S3."""

from __future__ import annotations

from pyflink.datastream import DataStream

from tillstream.catalog import tables
from tillstream.connectors import kafka, s3
from tillstream.connectors.context import JobContext


def sink(context: JobContext, stream: DataStream, apart: bool = False) -> None:
    """``stream``: dead letters as JSON bytes; those of the hot tables above come with them. The sinks'
    uids are the same in every job. apart: files in a thread of their own, see ``s3.parquet_sink``."""
    if context.refused:
        stream = stream.union(*context.refused)
        context.refused.clear()
    kafka.dead_letter_sink(context, stream, uid="dead-letters")
    history = tables.DEAD_LETTERS
    s3.parquet_sink(context, stream, history, uid="dead-letter-history", apart=apart)
