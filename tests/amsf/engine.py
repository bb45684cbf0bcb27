"""What runs behind the local service: the seam, and an engine that only keeps time."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tillstream.infra.metrics import CHECKPOINT_AGE

# What code may set from Flink 2.x on, of the service's list; an entry with a dot at its end is a prefix.
ALLOWED = (
    "python.execution-mode", "python.operator-chaining.enabled", "pipeline.name", "pipeline.jars",
    "pipeline.max-parallelism", "pipeline.object-reuse", "pipeline.auto-watermark-interval",
    "pipeline.operator-chaining.", "pipeline.generic-types", "table.",
)  # fmt: skip


class Clock:
    """Time that passes only when somebody sleeps, so that nobody waits in a test. Ms, UTC."""

    def __init__(self, at_ms: int = 1_764_000_000_000) -> None:
        self.at_ms = at_ms
        self.waiting: list[Callable[[], None]] = []  # called at each sleep

    def now_ms(self) -> int:
        return self.at_ms

    def sleep(self, seconds: float) -> None:
        self.at_ms += int(seconds * 1000)
        for call in self.waiting:
            call()


@dataclass(frozen=True)
class Launch:
    """What is started. ``code``: the zip. ``snapshot``: name of the one to restore, None for no state."""

    application: str
    runtime: str
    code: bytes
    parallelism: int
    properties: dict[str, dict[str, str]]
    snapshot: str | None
    allow_non_restored: bool

    @property
    def manifest(self) -> dict[str, Any]:
        with zipfile.ZipFile(io.BytesIO(self.code)) as held:
            found: dict[str, Any] = json.loads(held.read("manifest.json"))
            return found


class Engine(Protocol):
    """One that runs real jobs goes here: it unpacks ``Launch.code`` and starts it as the service does."""

    def start(self, launch: Launch) -> str:
        """Begins; returns the run's id."""
        ...

    def state(self, run: str) -> str:
        """STARTING, RUNNING, FAILED or STOPPED."""
        ...

    def problem(self, run: str) -> str: ...

    def snapshot(self, run: str, name: str) -> None:
        """Begins one of a run that goes on."""
        ...

    def stop(self, run: str, snapshot: str | None) -> None:
        """Begins to stop, with a snapshot of that name; None: at once and without."""
        ...

    def snapshot_state(self, application: str, name: str) -> str:
        """CREATING, READY or FAILED."""
        ...

    def discard(self, application: str, name: str) -> None: ...

    def series(
        self, application: str, metric: str, since_ms: int, to_ms: int
    ) -> list[tuple[int, float]]:
        """A value per whole minute, as CloudWatch has them."""
        ...

    def logs(self, application: str) -> list[tuple[int, str]]:
        """(ms, JSON document), oldest first."""
        ...


@dataclass
class _Run:
    launch: Launch
    started_ms: int
    fault: str = ""
    problem: str = ""
    stopped_ms: int | None = None


@dataclass
class _Snapshot:
    ready_ms: int
    manifest: dict[str, Any]
    failed: bool = False


@dataclass
class FakeEngine:
    """Starts in 30 s, stops in 20, takes a snapshot in 10, a checkpoint a minute.

    ``fault``: of a launch "" or ``fails``, ``loops`` (runs and restarts for ever), ``no checkpoints``. What
    a restore would do to state is decided by the manifests in the zips, as Flink would.
    """

    clock: Clock
    fault: Callable[[Launch], str] = lambda launch: ""
    settings_in_code: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by job
    snapshots_fail: bool = False
    runs: dict[str, _Run] = field(default_factory=dict)
    snapshots: dict[tuple[str, str], _Snapshot] = field(default_factory=dict)

    START_MS, STOP_MS, TAKE_MS, CHECKPOINT_MS, RESTART_MS = 30_000, 20_000, 10_000, 60_000, 15_000

    def start(self, launch: Launch) -> str:
        run = f"run-{len(self.runs) + 1}"
        self.runs[run] = made = _Run(launch, self.clock.now_ms(), self.fault(launch))
        job = launch.manifest["job"]
        strange = [
            name
            for name in self.settings_in_code.get(job, ())
            if not any(
                name == one or (one.endswith(".") and name.startswith(one)) for one in ALLOWED
            )
        ]
        if strange and launch.runtime.startswith("FLINK-2"):
            made.fault, made.problem = "fails", f"not allowed in code: {', '.join(strange)}"
        elif launch.snapshot is not None and not made.fault:
            made.fault, made.problem = self._restored(launch)
        return run

    def _restored(self, launch: Launch) -> tuple[str, str]:
        had, has = (
            self.snapshots[launch.application, launch.snapshot or ""].manifest,
            launch.manifest,
        )
        gone = had["operators"].keys() - has["operators"].keys()
        if gone and not launch.allow_non_restored:
            return "fails", f"Cannot map checkpoint/savepoint state for operator {sorted(gone)[0]}"
        if had["max_parallelism"] != has["max_parallelism"]:
            return "fails", "Max parallelism mismatch"
        if had["line"] > has["line"]:
            return "fails", "the savepoint is of a newer Flink"
        older = [
            name
            for name, at in had["state_versions"].items()
            if has["state_versions"].get(name, at) < at
        ]
        if older:
            return "loops", f"unknown version of {older[0]}"
        return "", ""

    def state(self, run: str) -> str:
        one, now = self.runs[run], self.clock.now_ms()
        if one.stopped_ms is not None:
            return "STOPPED" if now >= one.stopped_ms else "RUNNING"
        if now < one.started_ms + self.START_MS:
            return "STARTING"
        return "FAILED" if one.fault == "fails" else "RUNNING"

    def problem(self, run: str) -> str:
        return self.runs[run].problem or "the job could not be started"

    def snapshot(self, run: str, name: str) -> None:
        one = self.runs[run]
        failed = self.snapshots_fail or bool(one.fault)
        made = _Snapshot(self.clock.now_ms() + self.TAKE_MS, one.launch.manifest, failed)
        self.snapshots[one.launch.application, name] = made

    def stop(self, run: str, snapshot: str | None) -> None:
        if snapshot is not None:
            self.snapshot(run, snapshot)
            if self.snapshots[self.runs[run].launch.application, snapshot].failed:
                return  # as Flink does: without its savepoint the job runs on
        self.runs[run].stopped_ms = self.clock.now_ms() + (self.STOP_MS if snapshot else 0)

    def snapshot_state(self, application: str, name: str) -> str:
        found = self.snapshots[application, name]
        if self.clock.now_ms() < found.ready_ms:
            return "CREATING"
        return "FAILED" if found.failed else "READY"

    def discard(self, application: str, name: str) -> None:
        del self.snapshots[application, name]

    def series(
        self, application: str, metric: str, since_ms: int, to_ms: int
    ) -> list[tuple[int, float]]:
        minute = self.CHECKPOINT_MS
        first = -(-since_ms // minute) * minute
        found = []
        for at in range(first, min(to_ms, self.clock.now_ms()), minute):
            end = min(at + minute, self.clock.now_ms())  # of the minute, so far as it is over
            for run in self.runs.values():
                ended = run.stopped_ms if run.stopped_ms is not None else end
                if (
                    run.launch.application == application
                    and run.started_ms + self.START_MS < end <= ended
                ):
                    value = self._value(run, metric, end)
                    if value is not None:
                        found.append((at, value))
        return found

    def _value(self, run: _Run, metric: str, at_ms: int) -> float | None:
        """A run's figure; a metric of the other line of Flink is not there."""
        since = at_ms - run.started_ms - self.START_MS
        whole = since // self.CHECKPOINT_MS
        new = run.launch.runtime.startswith("FLINK-2")
        if metric == ("numRestarts" if new else "fullRestarts"):
            return since // self.RESTART_MS if run.fault == "loops" else 0
        if metric == "numberOfFailedCheckpoints":
            return whole if run.fault == "no checkpoints" else 0
        if metric in ("lastCheckpointDuration", "lastCheckpointSize"):
            return 850 if whole > 0 and not run.fault else -1  # Flink's word for none yet
        if metric == CHECKPOINT_AGE:
            return None if run.fault else since % self.CHECKPOINT_MS / 1000
        return {"numRecordsIn": 10 * since / 1000}.get(metric)

    def logs(self, application: str) -> list[tuple[int, str]]:
        found = []
        for run in self.runs.values():
            if run.launch.application != application:
                continue
            began = run.started_ms + self.START_MS
            found.append((run.started_ms, _line("INFO", f"parallelism {run.launch.parallelism}")))
            if run.fault in ("fails", "loops") and self.clock.now_ms() > began:
                found.append((began, _line("ERROR", "the job failed", run.problem or "it broke")))
        return sorted(found)


def _line(level: str, message: str, trace: str = "") -> str:
    told = {"messageType": level, "message": message, "logger": "org.apache.flink.runtime"}
    if trace:
        told["throwableInformation"] = f"org.apache.flink.runtime.JobException: {trace}"
    return json.dumps(told)
