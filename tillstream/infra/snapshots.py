"""How old the newest snapshot of each application is, for the alarm: the service does not report it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from tillstream.conf import Conf
from tillstream.infra import metrics
from tillstream.infra.names import application

AT_ONCE = 1_000  # figures that CloudWatch takes in a request


class Age(NamedTuple):
    """``seconds``: None where there is no snapshot; ``problem``: why nobody knows, where nobody does."""

    job: str
    seconds: int | None
    problem: str | None = None


def ages(client: Any, conf: Conf, jobs: Iterable[str], now_ms: int) -> list[Age]:
    """``client``: of kinesisanalyticsv2."""
    return [_age(client, application(conf, job), job, now_ms) for job in jobs]


def _age(client: Any, name: str, job: str, now_ms: int) -> Age:
    newest: int | None = None
    asked: dict[str, Any] = {"ApplicationName": name, "Limit": 50}
    try:
        while True:
            answer = client.list_application_snapshots(**asked)
            for one in answer["SnapshotSummaries"]:
                if one["SnapshotStatus"] == "READY":
                    made_ms = int(one["SnapshotCreationTimestamp"].timestamp() * 1000)
                    newest = max(newest or 0, made_ms)
            if not answer.get("NextToken"):
                break
            asked["NextToken"] = answer["NextToken"]
    except ClientError as error:
        return Age(job, None, error.response["Error"].get("Message") or str(error))
    return Age(job, None if newest is None else max(now_ms - newest, 0) // 1000)


def report(client: Any, conf: Conf, found: Iterable[Age]) -> int:
    """Sends what is known to CloudWatch, and returns how many figures. ``client``: of cloudwatch. Of an
    application without a snapshot nothing is sent, and the alarm takes silence for none."""
    figures = [
        {
            "MetricName": metrics.SNAPSHOT_AGE,
            "Dimensions": metrics.dimensions({"Application": application(conf, age.job)}),
            "Value": age.seconds,
            "Unit": "Seconds",
        }
        for age in found
        if age.seconds is not None
    ]
    for at in range(0, len(figures), AT_ONCE):
        client.put_metric_data(Namespace=metrics.OURS, MetricData=figures[at : at + AT_ONCE])
    return len(figures)
