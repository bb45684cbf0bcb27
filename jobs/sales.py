"""Sales: what every store sells by minute and hour, at what price; the tax of it; what fraud holds.

No Python runs in it. Each record is an addition to its window, so sums are right however late lines are.
What an addition holds depends on what came before its window closed, which may be otherwise after a
restart: no id could tell a repeat, so additions go exactly once.
"""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream

from tillstream.catalog import tables, topics
from tillstream.catalog.entry import Job
from tillstream.connectors import kafka, s3, sources, tracking
from tillstream.connectors.context import JobContext, run
from tillstream.reference import price_list

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes."""

    minutes: DataStream
    hours: DataStream
    taxes: DataStream
    held: DataStream


def read(context: JobContext) -> tuple[DataStream, DataStream]:
    """Rows of (transaction id, enveloped transaction); the same of what the fraud job says of sales."""
    transactions = sources.transaction_rows(context, key_field="transaction_id", timed=True)
    return transactions, sources.topic_rows(context, topics.HOLDS, "holds")


def build(inputs: tuple[DataStream, DataStream], context: JobContext) -> Streams:
    """The job without its ends."""
    transactions, orders = inputs
    lines, taxes = tracking.tracked(transactions, context.conf)
    prices = price_list(context.conf)
    return Streams(
        tracking.additions(lines, MINUTE_MS, prices, "sales-by-minute"),
        tracking.additions(lines, HOUR_MS, prices, "sales-by-hour"),
        tracking.tax_additions(taxes, HOUR_MS, "tax-by-hour"),
        tracking.held(context, orders),
    )


def write(streams: Streams, context: JobContext) -> None:
    """To Kafka and to S3, each exactly once: readers see an addition after its checkpoint."""
    minutes, hours, taxes, held = streams
    kafka.json_sink(context, minutes, topics.SALES_MINUTES, uid="sales-minutes")
    s3.parquet_sink(context, minutes, tables.SALES_BY_MINUTE, uid="sales-minutes-history")
    kafka.json_sink(context, hours, topics.SALES_HOURS, uid="sales-hours")
    s3.parquet_sink(context, hours, tables.SALES_BY_HOUR, uid="sales-hours-history")
    kafka.json_sink(context, taxes, topics.TAX_HOURS, uid="tax-hours")
    s3.parquet_sink(context, taxes, tables.TAX_BY_HOUR, uid="tax-hours-history")
    kafka.json_sink(context, held, topics.SALES_HELD, uid="sales-held")
    s3.parquet_sink(context, held, tables.SALES_HELD, uid="sales-held-history")


JOB = Job(
    "sales", read, build, write, reads=(topics.HOLDS,),
    writes=(topics.SALES_MINUTES.exactly_once, topics.SALES_HOURS.exactly_once,
            topics.TAX_HOURS.exactly_once, topics.SALES_HELD.exactly_once, tables.SALES_BY_MINUTE,
            tables.SALES_BY_HOUR, tables.TAX_BY_HOUR, tables.SALES_HELD),
)  # fmt: skip

if __name__ == "__main__":
    run(JOB)
