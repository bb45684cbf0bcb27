"""Loyalty: till transactions in; balances to DynamoDB, the points ledger to S3, events and notices to Kafka.

Every rule is in tillstream/domain/loyalty/ledger.py; every operator has a uid, for a changed uid loses state.
"""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream, KeyedStream, StreamExecutionEnvironment

from tillstream.conf import Conf, load
from tillstream.connectors import batched, dynamodb, kafka, s3, sources
from tillstream.domain.loyalty.ledger import DAY_MS, LoyaltyRules
from tillstream.jobs import dead_letters
from tillstream.state_schemas.tables import loyalty_entry
from tillstream.udfs.engine import environment
from tillstream.udfs.loyalty import LoyaltyLedger
from tillstream.udfs.stage import StageSettings


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes."""

    ledger: DataStream
    notices: DataStream
    dead_letters: DataStream


def ledger_function(conf: Conf) -> LoyaltyLedger:
    """The programme's terms as conf has them."""
    terms = conf.loyalty
    return LoyaltyLedger(
        StageSettings.of("loyalty", conf),
        LoyaltyRules(
            cents_per_point=terms.cents_per_point,
            point_value_cents=terms.point_value_cents,
            horizon_ms=terms.horizon_days * DAY_MS,
            max_postings=terms.max_postings,
        ),
        notify=terms.notify,
    )


def build(transactions: KeyedStream, conf: Conf) -> Streams:
    """The job without its ends: ``transactions`` are enveloped records keyed by customer."""
    ledger = batched.process(
        transactions,
        None,
        ledger_function(conf),
        state="loyalty-account",
        uid="loyalty-ledger",
        name="points ledger by customer",
    )
    return Streams(ledger, batched.side(ledger, "notices"), batched.side(ledger, "dead-letters"))


def attach_sinks(streams: Streams, conf: Conf) -> None:
    """Hot balances, history, events, notices, dead letters."""
    dynamodb.balance_sink(streams.ledger, conf, uid="balances")
    s3.parquet_sink(
        streams.ledger,
        conf,
        prefix=conf.s3.prefixes["ledger"],
        row_type=loyalty_entry.ROW_TYPE,
        date_field="event_time_ms",
        region_field="region",
        uid="ledger-history",
    )
    topics = conf.kafka.topics
    kafka.json_sink(
        streams.ledger,
        conf,
        topics["loyalty_events"],
        key_field="customer_id",
        uid="loyalty-events",
    )
    kafka.json_sink(streams.notices, conf, topics["notices"], key_field="notice_id", uid="notices")
    dead_letters.sink(streams.dead_letters, conf)


def main() -> None:
    conf = load()
    env: StreamExecutionEnvironment = environment(conf)
    transactions = sources.transactions(env, conf, key_field="customer_id", job="loyalty")
    attach_sinks(build(transactions, conf), conf)
    env.execute("loyalty")


if __name__ == "__main__":
    main()
