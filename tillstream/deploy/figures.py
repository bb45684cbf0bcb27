"""What CloudWatch says of an application: figures, the log, and whether it is well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from tillstream.deploy.service import Service
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
MOST_RESTARTS = 3  # without a checkpoint between them
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
        """Minutes with a completed checkpoint: the service has no count of them. A minute counts if none
        has failed in it and the last one is not stale by the age that the job reports, or where it reports
        none, is not just as long and large as that of the minute before."""
        ages = dict(self.series.get(CHECKPOINT_AGE, ()))
        sizes = dict(self.series.get(SIZE, ()))
        told = [(value, sizes.get(at)) for at, value in self.series.get(DURATION, ())]
        failed = self.series.get(FAILED_CHECKPOINTS, [])
        before = {at: (failed[n - 1][1] if n else 0) for n, (at, _) in enumerate(failed)}
        worse = {at for at, value in failed if value > before[at]}
        return sum(
            value >= 0
            and at not in worse
            and (ages[at] < STALE_S if at in ages else not n or told[n] != told[n - 1])
            for n, (at, value) in enumerate(self.series.get(DURATION, ()))
        )

    @property
    def may_have_written(self) -> bool:
        """Whether a checkpoint may be complete, also where nothing is known."""
        durations = self.series.get(DURATION, ())
        return not durations or any(value >= 0 for _, value in durations)

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


class Health:
    """Of one application: well is what has completed enough checkpoints, and has not restarted of late.
    ``checkpoints``, ``minutes``: it has so many in that time once it is RUNNING."""

    def __init__(
        self, service: Service, watch: Watch, application: str, checkpoints: int, minutes: int
    ) -> None:
        self._service, self._watch, self._name = service, watch, application
        self._checkpoints, self._minutes = checkpoints, minutes

    def problem(self, started_ms: int, running_ms: int) -> str:
        """What is wrong, "" once it is well. A state that does not fit looks like a success: the application
        is RUNNING and its job restarts for ever."""
        until = running_ms + self._minutes * 60_000
        while True:
            now = self._service.describe(self._name)
            if not now.runs:
                said = self._service.problem(self._name) or "no reason given"
                return f"it is {now.status}: {said}"
            found = self._figures(started_ms)
            if (found.restarts or 0) >= MOST_RESTARTS and not found.completed_checkpoints:
                return f"{found.restarts} restarts and no checkpoint"
            if self._well(found):
                return ""
            if self._service.clock.now_ms() >= until:
                return self._said(found)
            self._service.pause()

    def may_have_written(self, started_ms: int) -> bool:
        """Whether a checkpoint may be complete since then, so that what it holds is there for all to see."""
        return self._figures(started_ms).may_have_written

    def _figures(self, started_ms: int) -> Figures:
        return self._watch.figures(self._name, started_ms, self._service.clock.now_ms())

    def _well(self, found: Figures) -> bool:
        done = found.completed_checkpoints >= self._checkpoints
        return done and found.restarts is not None and found.restarts_of_late == 0

    def _said(self, found: Figures) -> str:
        restarts = "unknown" if found.restarts is None else found.restarts
        return (
            f"after {self._minutes} minutes {found.completed_checkpoints} checkpoints of "
            f"{self._checkpoints}, {found.failed_checkpoints} failed, restarts: {restarts}"
        )
