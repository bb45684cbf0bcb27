"""Loyalty: till transactions in; balances to DynamoDB, the points ledger to S3, events and notices to Kafka.

Every rule is in tillstream/domain/loyalty/; every operator has a uid, for a changed uid loses state.
"""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream

from tillstream.catalog import tables, topics
from tillstream.catalog.entry import DEAD_LETTERS, Job
from tillstream.connectors import batched, dead_letters, dynamodb, kafka, s3, sources
from tillstream.connectors.context import JobContext, run
from tillstream.udfs.loyalty import LoyaltyLedger
from tillstream.udfs.loyalty import ledger as ledger_function

DAY_MS = 86_400_000


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes."""

    ledger: DataStream
    notices: DataStream
    dead_letters: DataStream


def read(context: JobContext) -> DataStream:
    """Rows of (customer, enveloped transaction), not yet keyed."""
    return sources.transaction_rows(context, key_field="customer")


def build(
    transactions: DataStream, context: JobContext, function: LoyaltyLedger | None = None
) -> Streams:
    """The job without its ends. ``function``: in place of the one that the settings give."""
    remember_ms = context.conf.loyalty.horizon_days * DAY_MS
    claims = sources.claims_of_owners(context, transactions, remember_ms)
    ledger = batched.process(
        context, sources.keyed(transactions.union(claims)), None,
        function or ledger_function(context.conf),
        state="loyalty-account", uid="loyalty-ledger", name="points ledger by customer",
    )  # fmt: skip
    return Streams(ledger, batched.side(ledger, "notices"), batched.refused(ledger))


def write(streams: Streams, context: JobContext) -> None:
    """Hot balances, history, events, notices, dead letters."""
    dynamodb.hot_item_sink(context, streams.ledger, tables.BALANCES, uid="balances")
    s3.parquet_sink(context, streams.ledger, tables.LEDGER, uid="ledger-history")
    kafka.json_sink(context, streams.ledger, topics.LOYALTY_EVENTS, uid="loyalty-events")
    kafka.json_sink(context, streams.notices, topics.NOTICES, uid="notices")
    dead_letters.sink(context, streams.dead_letters)


JOB = Job(
    "loyalty", read, build, write,
    writes=(tables.BALANCES, tables.LEDGER, topics.LOYALTY_EVENTS, topics.NOTICES,
            *DEAD_LETTERS),
)  # fmt: skip

if __name__ == "__main__":
    run(JOB)
