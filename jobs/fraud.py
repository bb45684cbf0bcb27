"""Fraud: till transactions, verdicts, rule sets in; holds, notices, cases out. docs/jobs/fraud.md"""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream

from tillstream.catalog import tables, topics
from tillstream.catalog.entry import DEAD_LETTERS, Job
from tillstream.connectors import batched, dead_letters, dynamodb, kafka, s3, sources
from tillstream.connectors.context import JobContext, run
from tillstream.fraud.texts import starting
from tillstream.udfs import fraud as functions
from tillstream.udfs.fraud import staff

TO_KAFKA = {"holds": topics.HOLDS.prompt, "notices": topics.NOTICES, "labels": topics.FRAUD_LABELS.prompt,
            "rule-answers": topics.FRAUD_ANSWERS.prompt}  # fmt: skip
OF_JUDGE = {"cases": tables.FRAUD_CASES, "explanations": tables.FRAUD_EXPLANATIONS}
HOT = {**OF_JUDGE, "staff-cases": tables.STAFF_CASES}


class Streams(NamedTuple):
    """What the job makes, as JSON bytes; ``judged`` and ``weighed`` have side outputs too."""

    judged: DataStream
    weighed: DataStream
    dead_letters: DataStream


def read(context: JobContext) -> tuple[DataStream, DataStream, DataStream]:
    """Transactions and labels as one stream; customers' replies; orders, which one subtask reads for all."""
    wait_ms = context.conf.fraud.linger_ms
    sales = sources.transaction_rows(context, "store+till").set_buffer_timeout(wait_ms)
    labels = sources.topic_rows(context, topics.FRAUD_LABELS, "fraud-labels", "store+till")
    replies = sources.topic_rows(context, topics.FRAUD_REPLIES, "fraud-replies")
    orders = sources.topic_rows(context, topics.FRAUD_RULES, "fraud-rules").set_parallelism(1)
    records = sales.union(labels.set_buffer_timeout(wait_ms))
    return records, replies.set_buffer_timeout(wait_ms), orders.set_buffer_timeout(wait_ms)


def build(inputs: tuple[DataStream, DataStream, DataStream], context: JobContext) -> Streams:
    """Counted at the till, then with the card, then judged by subject; what concerns staff is weighed by
    cashier and by store. Each stage is shown the orders."""
    (records, replies, orders), conf, fraud = inputs, context.conf, context.conf.fraud
    stage = batched.Stages(context, orders, "fraud", fraud.linger_ms)
    tills, cards = functions.at_till(conf), functions.by_card(conf)
    judge = functions.judge(conf, *starting(conf))
    till = stage(sources.keyed(records), tills, fraud.till_ttl_days, state="fraud-till")
    card = stage(stage.by("card", till), cards, fraud.card_ttl_days, state="fraud-card")
    subjects, days = stage.by("subject", card, replies), fraud.profile_ttl_days
    judged = stage(subjects, judge, days, state="fraud-profile", uid="fraud-judge")
    acts, days = stage.by("cashier", batched.sides("staff", till, card)), fraud.staff_ttl_days
    cashier = stage(acts, staff.by_cashier(conf), days, state="fraud-cashier")
    weighed = stage(stage.by("store", cashier), staff.by_store(conf), days, state="fraud-store")
    return Streams(judged, weighed, batched.refused(till, card, judged, cashier, weighed))


def write(streams: Streams, context: JobContext) -> None:
    """Orders to the payment system and to people, hot cases and explanations, history."""
    judged, weighed, refused = streams
    out = {name: batched.side(judged, name) for name in (*TO_KAFKA, *OF_JUDGE)}
    out["staff-cases"], alerts = weighed, batched.side(weighed, "notices")
    out["notices"] = out["notices"].union(alerts)
    for name, topic in TO_KAFKA.items():
        kafka.json_sink(context, out[name], topic, uid=name)
    for name, table in HOT.items():
        dynamodb.hot_item_sink(context, out[name], table, uid=name, apart=True)
    s3.parquet_sink(context, judged, tables.FRAUD_AUDIT, uid="audit", apart=True)
    dead_letters.sink(context, refused, apart=True)


JOB = Job(
    "fraud", read, build, write, reads=(topics.FRAUD_LABELS, topics.FRAUD_REPLIES, topics.FRAUD_RULES),
    writes=(*TO_KAFKA.values(), *HOT.values(), tables.FRAUD_AUDIT, *DEAD_LETTERS),
)  # fmt: skip

if __name__ == "__main__":
    run(JOB)
