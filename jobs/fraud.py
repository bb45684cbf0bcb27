"""Fraud: till transactions, verdicts, rule sets in; holds, notices, cases out. docs/jobs/fraud.md"""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream

from tillstream.catalog import tables, topics
from tillstream.catalog.entry import DEAD_LETTERS, Job
from tillstream.connectors import batched, dead_letters, dynamodb, kafka, s3, sources
from tillstream.connectors.context import JobContext, run
from tillstream.fraud.rules_file import starting_rules
from tillstream.udfs import fraud as functions

TO_KAFKA = {"holds": topics.HOLDS.prompt, "notices": topics.NOTICES,
            "rule-answers": topics.FRAUD_ANSWERS.prompt}  # fmt: skip
DAY_MS = 86_400_000
HOT = {"cases": tables.FRAUD_CASES, "explanations": tables.FRAUD_EXPLANATIONS}


class Streams(NamedTuple):
    """What the job makes, as JSON bytes; ``judged`` has side outputs too."""

    judged: DataStream
    dead_letters: DataStream


def read(context: JobContext) -> tuple[DataStream, DataStream]:
    """Transactions and labels as one stream; orders, which one subtask reads for all."""
    wait_ms = context.conf.fraud.linger_ms
    sales = sources.transaction_rows(context, "store+till")
    labels = sources.topic_rows(context, topics.FRAUD_LABELS, "fraud-labels", "store+till")
    orders = sources.topic_rows(context, topics.FRAUD_RULES, "fraud-rules").set_parallelism(1)
    records = sales.set_buffer_timeout(wait_ms).union(labels.set_buffer_timeout(wait_ms))
    return records, orders.set_buffer_timeout(wait_ms)


def build(inputs: tuple[DataStream, DataStream], context: JobContext) -> Streams:
    """Counted at the till, then with the card, then judged by subject; each is shown the orders."""
    (records, orders), conf, fraud = inputs, context.conf, context.conf.fraud
    at_till = batched.process(
        context, sources.keyed(records), orders, functions.at_till(conf), state="fraud-till",
        uid="fraud-till", name="count at the till", life_ms=fraud.till_ttl_days * DAY_MS,
        wait_ms=fraud.linger_ms,
    )  # fmt: skip
    cards = batched.rekeyed(at_till, "fraud-by-card", "by card", fraud.linger_ms)
    by_card = batched.process(
        context, cards, orders, functions.by_card(conf), state="fraud-card", uid="fraud-card",
        name="count by card", life_ms=fraud.card_ttl_days * DAY_MS, wait_ms=fraud.linger_ms,
    )  # fmt: skip
    subjects = batched.rekeyed(by_card, "fraud-by-subject", "by subject", fraud.linger_ms)
    judged = batched.process(
        context, subjects, orders, functions.judge(conf, starting_rules(fraud.rules)),
        state="fraud-profile", uid="fraud-judge", name="judge by subject",
        life_ms=fraud.profile_ttl_days * DAY_MS, wait_ms=fraud.linger_ms,
    )  # fmt: skip
    return Streams(judged, batched.refused(at_till, by_card, judged))


def write(streams: Streams, context: JobContext) -> None:
    """Orders to the payment system and to people, hot cases and explanations, history."""
    judged, refused = streams
    for name, topic in TO_KAFKA.items():
        kafka.json_sink(context, batched.side(judged, name), topic, uid=name)
    for name, table in HOT.items():
        dynamodb.hot_item_sink(context, batched.side(judged, name), table, uid=name, apart=True)
    s3.parquet_sink(context, judged, tables.FRAUD_AUDIT, uid="audit", apart=True)
    dead_letters.sink(context, refused, apart=True)


JOB = Job(
    "fraud", read, build, write, reads=(topics.FRAUD_LABELS, topics.FRAUD_RULES),
    writes=(*TO_KAFKA.values(), *HOT.values(), tables.FRAUD_AUDIT, *DEAD_LETTERS),
)  # fmt: skip

if __name__ == "__main__":
    run(JOB)
