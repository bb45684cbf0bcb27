"""Fraud: till transactions, verdicts and rule sets in; holds, notices, cases, an audit out.

Counted at the till, then with the card, then judged by subject: docs/jobs/fraud.md. Every rule is in
tillstream/domain/fraud; every operator has a uid, for a changed uid loses state.
"""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream, KeyedStream, StreamExecutionEnvironment

from tillstream.conf import Conf, load
from tillstream.connectors import batched, dynamodb, kafka, s3, sources
from tillstream.fraud.rules_file import starting_rules
from tillstream.jobs import dead_letters
from tillstream.state_schemas.tables import fraud_decision
from tillstream.udfs.engine import environment
from tillstream.udfs.fraud import JudgeSales
from tillstream.udfs.fraud_counters import CountAtTill, CountByCard
from tillstream.udfs.stage import StageSettings


class Inputs(NamedTuple):
    """records: enveloped transactions and labels, keyed by store and till; orders: rows of
    enveloped orders about rules."""

    records: KeyedStream
    orders: DataStream


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes."""

    audit: DataStream
    explanations: DataStream
    cases: DataStream
    holds: DataStream
    notices: DataStream
    rule_answers: DataStream
    dead_letters: DataStream


def read(env: StreamExecutionEnvironment, conf: Conf) -> Inputs:
    """Transactions and labels as one stream; orders read by one subtask, so in one order by all."""
    topics, key, wait_ms = conf.kafka.topics, "store+till", conf.fraud.linger_ms
    sales = sources.transaction_rows(env, conf, key, "fraud")
    labels = sources.topic_rows(env, conf, topics["fraud_labels"], key, "fraud", "fraud-labels")
    orders = sources.topic_rows(env, conf, topics["fraud_rules"], "mode", "fraud", "fraud-rules")
    records = sales.set_buffer_timeout(wait_ms).union(labels.set_buffer_timeout(wait_ms))
    return Inputs(sources.keyed(records), orders.set_parallelism(1).set_buffer_timeout(wait_ms))


def functions(conf: Conf) -> tuple[CountAtTill, CountByCard, JudgeSales]:
    """The three stages as conf has them."""
    fraud, days = conf.fraud, conf.fraud.label_delay_days
    stage = StageSettings.of("fraud", conf)
    labels, ahead_ms = conf.kafka.topics["fraud_labels"], fraud.clock_ahead_hours * 3_600_000
    audit_all, explain_all = fraud.audit == "all", fraud.explain == "all"
    return (
        CountAtTill(stage, labels, days, ahead_ms),
        CountByCard(stage, days),
        JudgeSales(stage, starting_rules(fraud.rules), audit_all, explain_all, fraud.keep_days),
    )


def build(inputs: Inputs, conf: Conf) -> Streams:
    """The job without its ends."""
    fraud, wait_ms, orders = conf.fraud, conf.fraud.linger_ms, inputs.orders
    till, card, judge = functions(conf)
    at_till = batched.process(
        inputs.records, orders, till, state="fraud-till", uid="fraud-till",
        name="count at the till", ttl_hours=24 * fraud.till_ttl_days,
        wait_ms=wait_ms,
    )  # fmt: skip
    by_card = batched.process(
        batched.rekeyed(at_till, "fraud-by-card", "by card", wait_ms), orders, card,
        state="fraud-card", uid="fraud-card", name="count by card",
        ttl_hours=24 * fraud.card_ttl_days, wait_ms=wait_ms,
    )  # fmt: skip
    judged = batched.process(
        batched.rekeyed(by_card, "fraud-by-subject", "by subject", wait_ms), orders, judge,
        state="fraud-profile", uid="fraud-judge", name="judge by subject",
        ttl_hours=24 * fraud.profile_ttl_days, wait_ms=wait_ms,
    )  # fmt: skip
    sides = {name.replace("-", "_"): batched.side(judged, name) for name in judge.sides}
    refused = batched.side(at_till, "dead-letters").union(
        batched.side(by_card, "dead-letters"), sides.pop("dead_letters")
    )
    return Streams(judged, dead_letters=refused, **sides)


def attach_sinks(streams: Streams, conf: Conf) -> None:
    """Orders to the payment system and to people, hot cases and explanations, history."""
    topics, tables = conf.kafka.topics, conf.dynamodb.tables
    for stream, topic, key, uid in (
        (streams.holds, "holds", "transaction_id", "holds"),
        (streams.notices, "notices", "notice_id", "notices"),
        (streams.rule_answers, "fraud_answers", "origin", "rule-answers"),
    ):
        kafka.json_sink(stream, conf, topics[topic], key, uid, prompt=True)
    dynamodb.case_sink(streams.cases, conf, tables["fraud_cases"], uid="cases")
    dynamodb.explanation_sink(
        streams.explanations, conf, tables["fraud_explanations"], uid="explanations"
    )
    kafka.dead_letter_sink(streams.dead_letters, conf, uid="dead-letters")
    s3.parquet_sink(
        streams.audit, conf, conf.s3.prefixes["fraud_audit"], fraud_decision.ROW_TYPE,
        "event_time_ms", "region", uid="audit", apart=True,
    )  # fmt: skip
    dead_letters.history(streams.dead_letters, conf, apart=True)


def main() -> None:
    conf = load()
    env: StreamExecutionEnvironment = environment(conf)
    attach_sinks(build(read(env, conf), conf), conf)
    env.execute("fraud")


if __name__ == "__main__":
    main()
