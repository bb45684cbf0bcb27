"""One page of the jobs: lag, checkpoints, restarts, dead letters, load, tables."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tillstream.catalog.entry import Job
from tillstream.conf import Conf
from tillstream.infra import metrics, policy
from tillstream.infra.metrics import Metric, of_application
from tillstream.infra.names import Json, exported, sub

WIDTH, HEIGHT, IN_A_ROW = 8, 6, 3  # of the 24 columns that a dashboard has


def resource(conf: Conf, jobs: Iterable[Job]) -> Json:
    """As CloudFormation has it: the body is a text, in which it puts region and cluster."""
    body = json.dumps(_body(conf, list(jobs)), separators=(",", ":"))
    return {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {"DashboardName": exported(conf, "tillstream"), "DashboardBody": sub(body)},
    }


def _body(conf: Conf, jobs: list[Job]) -> Json:
    limits = conf.infra.alarms
    kinesis = [metrics.stream_lag(conf) for job in jobs if policy.reads_kinesis(conf, job)]
    kafka = [one for job in jobs for one in metrics.topic_lags(conf, job)]
    hot = sorted({conf.table(table) for job in jobs for table in job.tables})

    def each(name: str, statistic: str = "Maximum") -> list[Metric]:
        return [of_application(conf, job, name, statistic) for job in jobs]

    shown: list[tuple[str, list[Metric], int | None]] = [
        ("Behind the tills, ms", kinesis, limits.lag_minutes * 60_000),
        ("Behind a topic, s", kafka, limits.lag_minutes * 60),
        ("Records in per second", each("numRecordsInPerSecond", "Average"), None),
        ("Since the last checkpoint, s", each(metrics.CHECKPOINT_AGE), limits.checkpoint_age_minutes * 60),
        ("Checkpoint takes, ms", each("lastCheckpointDuration"), limits.checkpoint_minutes * 60_000),
        ("Size of a checkpoint, bytes", each("lastCheckpointSize"), None),
        ("Restarts since the start", [metrics.restarts(conf, job) for job in jobs], None),
        ("Dead letters per second, busiest subtask", each(metrics.DEAD_LETTERS), None),
        ("Thread mode, 1 is on", each(metrics.THREAD_MODE, "Minimum"), 1),
        ("CPU, %", each("containerCPUUtilization"), None),
        ("Memory, %", each("containerMemoryUtilization"), None),
        ("Disk, %", each("containerDiskUtilization"), None),
        ("Writes put off per minute", [metrics.throttled(one) for one in hot], None),
        ("Since the last snapshot, s", [metrics.snapshot_age(conf, job) for job in jobs],
         limits.snapshot_age_hours * 3600),
        ("KPUs", [of_application(conf, job, "KPUs", period_s=3600) for job in jobs], None),
    ]  # fmt: skip
    filled = [one for one in shown if one[1]]
    return {"widgets": [_widget(number, *one) for number, one in enumerate(filled)]}


def _widget(number: int, title: str, watched: list[Metric], limit: int | None) -> Json:
    row, column = divmod(number, IN_A_ROW)
    properties: Json = {
        "title": title,
        "region": "${AWS::Region}",
        "view": "timeSeries",
        "period": watched[0].period_s,
        "stat": watched[0].statistic,
        "metrics": [_plain(one) for one in watched],
    }
    if limit is not None:
        properties["annotations"] = {"horizontal": [{"label": "alarm", "value": limit}]}
    place = {"x": column * WIDTH, "y": row * HEIGHT, "width": WIDTH, "height": HEIGHT}
    return {"type": "metric", **place, "properties": properties}


def _plain(metric: Metric) -> list[Any]:
    named = [
        value if isinstance(value, str) else f"${{{value['Ref']}}}"
        for pair in metric.dimensions.items()
        for value in pair
    ]
    return [metric.namespace, metric.name, *named]
