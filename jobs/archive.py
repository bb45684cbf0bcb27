"""Archive: every transaction of the front door once to S3 Parquet, by date and region."""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream, KeyedStream

from tillstream.catalog import tables
from tillstream.catalog.entry import DEAD_LETTERS, Job
from tillstream.connectors import batched, dead_letters, s3, sources
from tillstream.connectors.context import JobContext, run
from tillstream.udfs.archive import SKIPPED, archive_once

HOUR_MS = 3_600_000


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes."""

    archived: DataStream
    skipped: DataStream
    dead_letters: DataStream


def read(context: JobContext) -> KeyedStream:
    """Enveloped transactions by their id."""
    return sources.transactions(context, key_field="transaction_id", timed=True, holes=True)


def build(transactions: KeyedStream, context: JobContext) -> Streams:
    """The job without its ends."""
    archived = batched.process(
        context, transactions, None, archive_once(context.conf), state="archived",
        uid="archive-once", name="archive once", by_arrival=True,
        life_ms=context.conf.archive.dedupe_hours * HOUR_MS,
    )  # fmt: skip
    skipped = batched.side(archived, SKIPPED)
    return Streams(archived, skipped, batched.refused(archived))


def write(streams: Streams, context: JobContext) -> None:
    """History, what is not in it, and dead letters."""
    # Not the uid of 0.1.0's: its state names folders of the history before this one.
    s3.parquet_sink(context, streams.archived, tables.ARCHIVE, uid="archived-receipts")
    s3.parquet_sink(context, streams.skipped, tables.ARCHIVE_SKIPPED, uid="archive-skipped")
    dead_letters.sink(context, streams.dead_letters)


JOB = Job(
    "archive", read, build, write,
    writes=(tables.ARCHIVE, tables.ARCHIVE_SKIPPED, *DEAD_LETTERS),
)  # fmt: skip

if __name__ == "__main__":
    run(JOB)
