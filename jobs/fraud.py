"""Fraud: till transactions, verdicts and rule sets in; holds, notices, cases, an audit out.

Counted at the till, then with the card, then judged by subject: docs/jobs/fraud.md.
"""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream

from tillstream.catalog import tables, topics
from tillstream.catalog.entry import DEAD_LETTERS, Job
from tillstream.connectors import batched, dead_letters, dynamodb, kafka, s3, sources
from tillstream.connectors.context import JobContext, run
from tillstream.fraud.rules_file import starting_rules
from tillstream.udfs import fraud as functions

KEY = "store+till"
TO_KAFKA = {
    "holds": topics.HOLDS.prompt,
    "notices": topics.NOTICES.prompt,
    "rule-answers": topics.FRAUD_ANSWERS.prompt,
}


class Streams(NamedTuple):
    """What the job makes, as JSON bytes: ``sides`` are the judge's side outputs by name."""

    audit: DataStream
    sides: dict[str, DataStream]
    dead_letters: DataStream


def read(context: JobContext) -> tuple[DataStream, DataStream]:
    """Transactions and labels as one stream; orders about rules, read by one subtask, so in one
    order by all."""
    wait_ms = context.conf.fraud.linger_ms
    sales = sources.transaction_rows(context, KEY)
    labels = sources.topic_rows(context, topics.FRAUD_LABELS, "fraud-labels", key_field=KEY)
    orders = sources.topic_rows(context, topics.FRAUD_RULES, "fraud-rules")
    records = sales.set_buffer_timeout(wait_ms).union(labels.set_buffer_timeout(wait_ms))
    return records, orders.set_parallelism(1).set_buffer_timeout(wait_ms)


def build(inputs: tuple[DataStream, DataStream], context: JobContext) -> Streams:
    """Three stages, each keyed anew; every one of them is shown the orders."""
    (records, orders), conf = inputs, context.conf
    fraud, wait_ms = conf.fraud, conf.fraud.linger_ms
    at_till = batched.process(
        sources.keyed(records), orders, functions.at_till(conf), state=context.state("fraud-till"),
        uid="fraud-till", name="count at the till", sides=["dead-letters"],
        ttl_hours=24 * fraud.till_ttl_days, wait_ms=wait_ms,
    )  # fmt: skip
    by_card = batched.process(
        batched.rekeyed(at_till, "fraud-by-card", "by card", wait_ms), orders,
        functions.by_card(conf), state=context.state("fraud-card"), uid="fraud-card",
        name="count by card", ttl_hours=24 * fraud.card_ttl_days, wait_ms=wait_ms,
    )  # fmt: skip
    judge = functions.judge(conf, starting_rules(fraud.rules))
    judged = batched.process(
        batched.rekeyed(by_card, "fraud-by-subject", "by subject", wait_ms), orders, judge,
        state=context.state("fraud-profile"), uid="fraud-judge", name="judge by subject",
        sides=functions.SIDES, ttl_hours=24 * fraud.profile_ttl_days, wait_ms=wait_ms,
    )  # fmt: skip
    sides = {name: batched.side(judged, name) for name in functions.SIDES}
    refused = batched.side(at_till, "dead-letters").union(sides.pop("dead-letters"))
    return Streams(judged, sides, refused)


def write(streams: Streams, context: JobContext) -> None:
    """Orders to the payment system and to people, hot cases and explanations, history."""
    sides = streams.sides
    for name, topic in TO_KAFKA.items():
        kafka.json_sink(context, sides[name], topic, uid=name)
    dynamodb.hot_item_sink(context, sides["cases"], tables.FRAUD_CASES, "cases", apart=True)
    explanations = tables.FRAUD_EXPLANATIONS
    dynamodb.hot_item_sink(context, sides["explanations"], explanations, "explanations", apart=True)
    s3.parquet_sink(context, streams.audit, tables.FRAUD_AUDIT, uid="audit", apart=True)
    dead_letters.sink(context, streams.dead_letters, apart=True)


JOB = Job(
    "fraud", read, build, write, reads=(topics.FRAUD_LABELS, topics.FRAUD_RULES),
    writes=(*TO_KAFKA.values(), tables.FRAUD_CASES, tables.FRAUD_EXPLANATIONS,
            tables.FRAUD_AUDIT, *DEAD_LETTERS),
)  # fmt: skip

if __name__ == "__main__":
    run(JOB)
