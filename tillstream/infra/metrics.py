"""The figures that alarms and dashboard go by, each with who reports it.

Names and dimensions are AWS's own, but for three that the jobs report under the metric group
``kinesisanalytics``, which Amazon's service passes on, and one that `tillstream infra snapshots` reports.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tillstream.catalog.entry import Job
from tillstream.conf import Conf
from tillstream.infra import policy
from tillstream.infra.names import Json, application, ref

SERVICE = "AWS/KinesisAnalytics"
OURS = "Tillstream"
# Of the jobs themselves: the first two by Reported.java, the mode by what starts the Python stages.
CHECKPOINT_AGE = "checkpointAgeSeconds"
DEAD_LETTERS = "deadLettersPerSecond"
THREAD_MODE = "pythonThreadMode"  # 1 or 0
# Of `tillstream infra snapshots`.
SNAPSHOT_AGE = "SnapshotAgeSeconds"
MOST_IN_AN_ALARM = 10  # metrics


class Metric(NamedTuple):
    """``dimensions``: name -> value. ``statistic``: over one ``period_s``."""

    namespace: str
    name: str
    dimensions: dict[str, Any]
    statistic: str = "Maximum"
    period_s: int = 60

    def query(self, number: int) -> Json:
        """As an alarm on an expression has it: m0, m1, ..."""
        metric = {
            "Namespace": self.namespace,
            "MetricName": self.name,
            "Dimensions": dimensions(self.dimensions),
        }
        stat = {"Metric": metric, "Stat": self.statistic, "Period": self.period_s}
        return {"Id": f"m{number}", "MetricStat": stat, "ReturnData": False}


def dimensions(named: dict[str, Any]) -> list[Json]:
    return [{"Name": name, "Value": value} for name, value in named.items()]


def of_application(
    conf: Conf, job: Job, name: str, statistic: str = "Maximum", period_s: int = 60
) -> Metric:
    """Of the application as a whole, whose metrics level is APPLICATION."""
    named = {"Application": application(conf, job.name)}
    return Metric(SERVICE, name, named, statistic, period_s)


def restarts(conf: Conf, job: Job) -> Metric:
    """How often the job has restarted since it was started; 2.x counts them under another name."""
    name = "fullRestarts" if conf.infra.flink == "1.20" else "numRestarts"
    return of_application(conf, job, name, period_s=300)


def stream_lag(conf: Conf) -> Metric:
    """Milliseconds behind the newest record of the tills' stream, as Kinesis counts them for all who poll it:
    intake alone.

    Not the service's own millisBehindLatest: there is nothing of that while the job is down.
    """
    named = {"StreamName": conf.source.kinesis.stream}
    return Metric("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", named)


def topic_lags(conf: Conf, job: Job) -> list[Metric]:
    """By topic, the seconds that the job is behind, as MSK estimates them from what it has committed.

    A job commits its positions when a checkpoint is complete, so a checkpoint that does not come is
    lag too.
    """
    group = conf.own_name(job.name)
    cluster = ref("KafkaName")
    return [
        Metric(
            "AWS/Kafka",
            "EstimatedMaxTimeLag",
            {"Cluster Name": cluster, "Consumer Group": group, "Topic": topic.name},
        )
        for topic in policy.read_topics(conf, job)
    ]


def throttled(table: str) -> Metric:
    """Writes of a table that DynamoDB has put off."""
    return Metric("AWS/DynamoDB", "WriteThrottleEvents", {"TableName": table}, "Sum")


def snapshot_age(conf: Conf, job: Job) -> Metric:
    named = {"Application": application(conf, job.name)}
    return Metric(OURS, SNAPSHOT_AGE, named, period_s=3600)
