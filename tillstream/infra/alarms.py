"""Alarms of each job and each hot table. docs/runbooks/alarms.md says of each what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from tillstream.catalog import tables
from tillstream.catalog.entry import Job
from tillstream.conf import Conf
from tillstream.infra import metrics, policy
from tillstream.infra.metrics import Metric, of_application
from tillstream.infra.names import Json, logical, ref

Comparison = Literal["GreaterThanThreshold", "LessThanThreshold"]
# What silence means: that all is well, that it is not, or nothing.
Silence = Literal["notBreaching", "breaching", "missing"]


class Alarm(NamedTuple):
    """``kind``: its heading in the runbook. ``of``: job or table. ``periods``: how many in a row.
    ``expression``: of m0, m1, ..., where it is not the one metric itself."""

    kind: str
    of: str
    says: str
    watched: tuple[Metric, ...]
    threshold: int
    periods: int = 5
    comparison: Comparison = "GreaterThanThreshold"
    silence: Silence = "notBreaching"
    expression: str | None = None


def alarms(conf: Conf, jobs: Iterable[Job]) -> list[Alarm]:
    """All alarms, by job, then by table."""
    listed = list(jobs)
    written = {one.id: one for job in listed for one in job.tables}
    return [
        *(alarm for job in listed for alarm in _job(conf, job)),
        *(_table(conf, written[name]) for name in sorted(written)),
    ]


def resource(conf: Conf, alarm: Alarm) -> Json:
    """As CloudFormation has it."""
    properties: Json = {
        "AlarmName": f"{conf.own_name(alarm.of)}-{alarm.kind}",
        "AlarmDescription": f"{alarm.says}. docs/runbooks/alarms.md#{alarm.kind}",
        "ComparisonOperator": alarm.comparison,
        "Threshold": alarm.threshold,
        "EvaluationPeriods": alarm.periods,
        "DatapointsToAlarm": alarm.periods,
        "TreatMissingData": alarm.silence,
        "AlarmActions": [ref("TopicAlarms")],
        "OKActions": [ref("TopicAlarms")],
    }
    if alarm.expression is None:
        (metric,) = alarm.watched
        properties |= {
            "Namespace": metric.namespace,
            "MetricName": metric.name,
            "Dimensions": metrics.dimensions(metric.dimensions),
            "Statistic": metric.statistic,
            "Period": metric.period_s,
        }
    else:
        result = {
            "Id": "result",
            "Expression": alarm.expression,
            "Label": alarm.kind,
            "ReturnData": True,
        }
        queries = [metric.query(number) for number, metric in enumerate(alarm.watched)]
        properties["Metrics"] = [result, *queries]
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def logical_id(alarm: Alarm) -> str:
    return logical("alarm", alarm.of, alarm.kind)


def _job(conf: Conf, job: Job) -> Iterator[Alarm]:
    limits = conf.infra.alarms
    yield from _lag(conf, job)
    yield Alarm(
        "checkpoint-age", job.name, f"{job.name} has completed no checkpoint",
        (of_application(conf, job, metrics.CHECKPOINT_AGE),),
        limits.checkpoint_age_minutes * 60, silence="breaching",
    )  # fmt: skip
    yield Alarm(
        "checkpoint-duration", job.name, f"a checkpoint of {job.name} takes long",
        (of_application(conf, job, "lastCheckpointDuration"),),
        limits.checkpoint_minutes * 60_000,
    )  # fmt: skip
    # Both count from the start of the job on, so what matters is that they grow.
    yield Alarm(
        "checkpoint-failures", job.name, f"checkpoints of {job.name} fail",
        (of_application(conf, job, "numberOfFailedCheckpoints", period_s=300),),
        0, periods=2, expression="DIFF(m0)",
    )  # fmt: skip
    yield Alarm(
        "restarts", job.name, f"{job.name} restarts again and again",
        (metrics.restarts(conf, job)._replace(period_s=3600),),
        limits.restarts_per_hour - 1, periods=1, expression="DIFF(m0)",
    )  # fmt: skip
    if tables.DEAD_LETTERS in job.writes:
        # Compared by the minute, of the busiest subtask: the metric is a rate per second.
        yield Alarm(
            "dead-letters", job.name, f"{job.name} refuses many records",
            (of_application(conf, job, metrics.DEAD_LETTERS),),
            limits.dead_letters_per_minute, expression="m0 * 60",
        )  # fmt: skip
        # Only jobs with a Python stage have dead letters, and a mode.
        yield Alarm(
            "thread-mode", job.name, f"Python of {job.name} runs outside of the JVM, ten times slower",
            (of_application(conf, job, metrics.THREAD_MODE, "Minimum"),),
            1, comparison="LessThanThreshold",
        )  # fmt: skip
    yield Alarm(
        "snapshot-age", job.name, f"{job.name} has no recent snapshot, or nobody looks",
        (metrics.snapshot_age(conf, job),), limits.snapshot_age_hours * 3600,
        periods=3, silence="breaching",
    )  # fmt: skip


def _lag(conf: Conf, job: Job) -> Iterator[Alarm]:
    seconds = conf.infra.alarms.lag_minutes * 60
    if policy.reads_kinesis(conf, job):
        # A job that is down does not poll, and then nothing is said.
        yield Alarm(
            "stream-lag", job.name, f"{job.name} is behind the tills",
            (metrics.stream_lag(conf),), seconds * 1000, silence="breaching",
        )  # fmt: skip
        # Half of the retention is left to do something about it. Of a job that is down stream-lag tells.
        yield Alarm(
            "stream-trim", job.name, f"{job.name} nears the end of what the stream keeps",
            (metrics.stream_lag(conf),), conf.infra.stream.retention_hours * 1_800_000,
        )  # fmt: skip
    if lags := metrics.topic_lags(conf, job):
        assert len(lags) <= metrics.MOST_IN_AN_ALARM, (
            f"{job.name} reads too many topics for an alarm"
        )
        most = ", ".join(f"m{number}" for number in range(len(lags)))
        yield Alarm(
            "topic-lag", job.name, f"{job.name} is behind a topic that it reads",
            tuple(lags), seconds, expression=f"MAX([{most}])",
        )  # fmt: skip


def _table(conf: Conf, table: tables.Table) -> Alarm:
    return Alarm(
        "throttled", table.id, f"DynamoDB puts off writes of {conf.table(table)}",
        (metrics.throttled(conf.table(table)),), conf.infra.alarms.throttled_per_minute,
    )  # fmt: skip
