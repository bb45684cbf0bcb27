"""What CloudWatch says of an application: figures, and the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from tillstream.errors import Unreachable
from tillstream.infra.metrics import CHECKPOINT_AGE

NAMESPACE = "AWS/KinesisAnalytics"
MINUTE_S = 60
# Metric of Flink 1.20 -> of 2.x, where another. Each is asked for; only one of them comes.
RESTARTS = ("fullRestarts", "numRestarts")
FAILED_CHECKPOINTS = "numberOfFailedCheckpoints"
DURATION, SIZE = "lastCheckpointDuration", "lastCheckpointSize"
READ, BEHIND = "numRecordsIn", "millisBehindLatest"
NAMES = (*RESTARTS, FAILED_CHECKPOINTS, DURATION, SIZE, CHECKPOINT_AGE, READ, BEHIND)
STALE_S = 180  # a checkpoint as old as this is not one of the minute it is reported in
Series = list[tuple[int, float]]


@dataclass(frozen=True)
class Figures:
    """Of one run, by minute. ``series``: metric -> (ms of the minute, its maximum), oldest first."""

    series: dict[str, Series]

    def last(self, name: str) -> float | None:
        found = self.series.get(name)
        return found[-1][1] if found else None

    @property
    def restarts(self) -> int | None:
        """Since the run began; None while nothing is known."""
        known = [value for name in RESTARTS if (value := self.last(name)) is not None]
        return int(max(known)) if known else None

    @property
    def failed_checkpoints(self) -> int:
        return int(self.last(FAILED_CHECKPOINTS) or 0)

    @property
    def completed_checkpoints(self) -> int:
        """Minutes with a completed checkpoint: the service has no count of them. A minute counts if the
        last one is not stale, as far as the job itself reports its age, and none has failed in it."""
        ages = dict(self.series.get(CHECKPOINT_AGE, ()))
        failed = self.series.get(FAILED_CHECKPOINTS, [])
        before = {at: (failed[n - 1][1] if n else 0) for n, (at, _) in enumerate(failed)}
        worse = {at for at, value in failed if value > before[at]}
        return sum(
            value >= 0 and at not in worse and ages.get(at, 0) < STALE_S
            for at, value in self.series.get(DURATION, ())
        )

    @property
    def restarts_of_late(self) -> int:
        """Within the last three minutes that are known."""
        found = next((self.series[name] for name in RESTARTS if self.series.get(name)), [])
        return int(found[-1][1] - found[max(len(found) - 4, 0)][1]) if found else 0


class LogLine(NamedTuple):
    """``trace``: a stack trace, "" without one."""

    at_ms: int
    level: str
    message: str
    trace: str


class Watch:
    """``metrics``, ``logs``: clients of cloudwatch and logs. Raises Unreachable."""

    def __init__(self, metrics: Any, logs: Any) -> None:
        self._metrics, self._logs = metrics, logs

    def figures(self, application: str, since_ms: int, to_ms: int) -> Figures:
        """Of whole minutes from the first that begins at ``since_ms`` or later."""
        begin = -(-since_ms // (MINUTE_S * 1000)) * MINUTE_S
        end = -(-to_ms // 1000)
        queries = [
            {
                "Id": f"m{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": NAMESPACE,
                        "MetricName": name,
                        "Dimensions": [{"Name": "Application", "Value": application}],
                    },
                    "Period": MINUTE_S,
                    "Stat": "Maximum",
                },
            }
            for number, name in enumerate(NAMES)
        ]
        found: dict[str, Series] = {name: [] for name in NAMES}
        if end <= begin:
            return Figures(found)
        asked: dict[str, Any] = {
            "MetricDataQueries": queries,
            "StartTime": datetime.fromtimestamp(begin, UTC),
            "EndTime": datetime.fromtimestamp(end, UTC),
            "ScanBy": "TimestampAscending",
        }
        for page in _pages(self._metrics.get_metric_data, asked, "NextToken", "NextToken"):
            for one in page["MetricDataResults"]:
                name = NAMES[int(one["Id"][1:])]
                times = (int(at.timestamp() * 1000) for at in one["Timestamps"])
                found[name] += zip(times, one["Values"], strict=True)
        return Figures({name: sorted(series) for name, series in found.items()})

    def lines(self, group: str, since_ms: int) -> Iterator[LogLine]:
        """What the log group holds since then, oldest first; nothing if there is no such group."""
        asked = {"logGroupName": group, "startTime": since_ms}
        try:
            for page in _pages(self._logs.filter_log_events, asked, "nextToken", "nextToken"):
                for event in page["events"]:
                    yield _line(event["timestamp"], event["message"])
        except _Absent:
            return


class _Absent(Exception):
    pass


def _line(at_ms: int, text: str) -> LogLine:
    """The service writes JSON documents; what is none is a message."""
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return LogLine(at_ms, "", text, "")
    trace = said.get("throwableInformation") or ""
    if isinstance(trace, list):
        trace = "\n".join(map(str, trace))
    return LogLine(
        at_ms, str(said.get("messageType", "")), str(said.get("message", "")), str(trace)
    )


def _pages(call: Any, asked: dict[str, Any], token: str, answers: str) -> Iterator[dict[str, Any]]:
    while True:
        try:
            page = call(**asked)
        except ClientError as error:
            if error.response["Error"].get("Code") == "ResourceNotFoundException":
                raise _Absent from None
            raise Unreachable(f"CloudWatch refuses ({error}): allow it to who deploys") from None
        except BotoCoreError as error:
            raise Unreachable(
                f"CloudWatch does not answer ({error}): check region and credentials"
            ) from None
        yield page
        if not page.get(answers):
            return
        asked = {**asked, token: page[answers]}
