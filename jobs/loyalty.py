"""Loyalty: sales, requests, adjustments, holds in; balances, ledger, answers out. docs/jobs/loyalty.md"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from pyflink.datastream import DataStream

from tillstream.catalog import tables, topics
from tillstream.catalog.entry import DEAD_LETTERS, Job
from tillstream.connectors import batched, dead_letters, dynamodb, kafka, s3, sources
from tillstream.connectors.context import JobContext, run
from tillstream.udfs.loyalty import LoyaltyLedger
from tillstream.udfs.loyalty import ledger as ledger_function

DAY_MS = 86_400_000
WAIT_MS = 2  # how long a record waits for others to make a batch
TRANSFERS = topics.POINTS_TRANSFERS.prompt
DOCUMENTS = {"request": topics.POINTS_REQUESTS, "adjustment": topics.LOYALTY_ADJUSTMENTS,
             "transfer": topics.POINTS_TRANSFERS, "hold": topics.HOLDS}  # fmt: skip


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes."""

    ledger: DataStream
    notices: DataStream
    answers: DataStream
    transfers: DataStream
    dead_letters: DataStream


def read(context: JobContext) -> tuple[DataStream, DataStream]:
    """Rows of (customer, enveloped transaction); those of other topics, at once, for tills wait."""
    transactions = sources.transaction_rows(context, key_field="customer")
    first, *rows = (sources.topic_rows(context, one, one.default, "customer_id").set_buffer_timeout(WAIT_MS)
                    for one in DOCUMENTS.values())  # fmt: skip
    return transactions, first.union(*rows)


def build(
    inputs: tuple[DataStream, DataStream], context: JobContext,
    function: LoyaltyLedger | None = None,
) -> Streams:  # fmt: skip
    """The job without its ends. ``function``: in place of the one that the settings give."""
    (transactions, documents), conf = inputs, context.conf
    kinds = {conf.topic(topic): kind for kind, topic in DOCUMENTS.items()}
    remember_ms = conf.loyalty.horizon_days * DAY_MS
    claims = sources.claims_of_owners(context, transactions, remember_ms)
    ledger = batched.process(
        context, sources.keyed(transactions.union(claims, documents)), None,
        function or ledger_function(conf, kinds),
        state="loyalty-account", uid="loyalty-ledger", name="points ledger by customer", wait_ms=WAIT_MS,
    )  # fmt: skip
    side = partial(batched.side, ledger)
    return Streams(ledger, side("notices"), side("points-answers"), side("points-transfers"),
                   batched.refused(ledger))  # fmt: skip


def write(streams: Streams, context: JobContext) -> None:
    """Hot balances, history, events, notices, dead letters."""
    dynamodb.hot_item_sink(context, streams.ledger, tables.BALANCES, uid="balances")
    s3.parquet_sink(context, streams.ledger, tables.LEDGER, uid="ledger-history")
    kafka.json_sink(context, streams.ledger, topics.LOYALTY_EVENTS, uid="loyalty-events")
    kafka.json_sink(context, streams.notices, topics.NOTICES, uid="notices")
    kafka.json_sink(context, streams.answers, topics.POINTS_ANSWERS.prompt, uid="points-answers")
    kafka.json_sink(context, streams.transfers, TRANSFERS, uid="points-transfers-sent")
    dead_letters.sink(context, streams.dead_letters)


JOB = Job(
    "loyalty", read, build, write, reads=tuple(DOCUMENTS.values()),
    writes=(tables.BALANCES, tables.LEDGER, topics.LOYALTY_EVENTS, topics.NOTICES,
            topics.POINTS_ANSWERS.prompt, TRANSFERS, *DEAD_LETTERS),
)  # fmt: skip

if __name__ == "__main__":
    run(JOB)
