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
# In the order in which Households.java is told of them.
DOCUMENTS = {"household": topics.HOUSEHOLDS, "adjustment": topics.LOYALTY_ADJUSTMENTS, "hold": topics.HOLDS,
             "transfer": topics.POINTS_TRANSFERS, "request": topics.POINTS_REQUESTS}  # fmt: skip


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes."""

    ledger: DataStream
    notices: DataStream
    answers: DataStream
    transfers: DataStream
    members: DataStream
    dead_letters: DataStream


def read(context: JobContext) -> DataStream:
    """Rows of (customer, enveloped transaction), and those of other topics, at once, for tills wait."""
    rows = (sources.topic_rows(context, one, one.default, "customer_id").set_buffer_timeout(WAIT_MS)
            for one in DOCUMENTS.values())  # fmt: skip
    return sources.transaction_rows(context, key_field="customer").union(*rows)


def build(rows: DataStream, context: JobContext, function: LoyaltyLedger | None = None) -> Streams:
    """The job without its ends. ``function``: in place of the one that the settings give."""
    conf = context.conf
    kinds = {conf.topic(topic): kind for kind, topic in DOCUMENTS.items()}
    remember_ms = conf.loyalty.horizon_days * DAY_MS
    accounts = sources.accounts(context, rows, tuple(DOCUMENTS.values()), remember_ms, WAIT_MS)
    claims = sources.claims_of_owners(context, accounts.transactions, remember_ms)
    ledger = batched.process(
        context, sources.keyed(accounts.all.union(claims)), None,
        function or ledger_function(conf, kinds),
        state="loyalty-account", uid="loyalty-ledger", name="points ledger by customer", wait_ms=WAIT_MS,
    )  # fmt: skip
    side = partial(batched.side, ledger)
    return Streams(ledger, side("notices"), side("points-answers"), side("points-transfers"),
                   accounts.members, batched.refused(ledger))  # fmt: skip


def write(streams: Streams, context: JobContext) -> None:
    """Hot balances, history, events, notices, dead letters."""
    dynamodb.hot_item_sink(context, streams.ledger, tables.BALANCES, uid="balances")
    dynamodb.hot_item_sink(context, streams.members, tables.BALANCES, uid="members")
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
