"""Real jobs behind the local service: each run has a Flink cluster of its own, as on Amazon."""

from __future__ import annotations

import json
import re
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.amsf.engine import Launch
from tests.support.as_the_service import SAVEPOINTS, Service
from tillstream.clients.flink import FlinkRestError, root_cause
from tillstream.errors import Problem, Unreachable

MINUTE_MS = 60_000
SAMPLE_S = 2.0
# As CloudWatch calls what Flink's JobManager tells under the same names.
SAMPLED = (
    "fullRestarts", "numRestarts", "numberOfFailedCheckpoints", "lastCheckpointDuration",
    "lastCheckpointSize",
)  # fmt: skip
ERROR_LINE = re.compile(r"^\d{4}-\d\d-\d\d \S+ (ERROR|WARN) .*")


@dataclass
class _Run:
    launch: Launch
    service: Service
    status: str = "STARTING"
    problem: str = ""
    ending: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class FlinkEngine:
    """``folder``: for roots, logs and zips. ``java``: a Java home. ``settings``: of the engine, over those of
    `as_the_service`, such as where S3 is."""

    def __init__(self, folder: Path, java: Path, settings: dict[str, Any]) -> None:
        self.folder, self.java, self.settings = folder, java, settings
        self.runs: dict[str, _Run] = {}
        self._snapshots: dict[tuple[str, str], tuple[str, str]] = {}  # -> state, location
        self._series: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)

    def start(self, launch: Launch) -> str:
        name = f"run-{len(self.runs) + 1}"
        folder = self.folder / name
        folder.mkdir(parents=True)
        package = folder / "code.zip"
        package.write_bytes(launch.code)
        groups = [
            {"PropertyGroupId": group, "PropertyMap": said}
            for group, said in launch.properties.items()
        ]
        service = Service(folder / "service", package, groups, self.java)
        service.set_engine(**self.settings)
        one = self.runs[name] = _Run(launch, service)
        one.thread = threading.Thread(target=self._until_it_ends, args=(one,), daemon=True)
        one.thread.start()
        return name

    def _until_it_ends(self, one: _Run) -> None:
        options = ["--parallelism", str(one.launch.parallelism)]
        if one.launch.snapshot is not None:
            _, location = self._snapshots[one.launch.application, one.launch.snapshot]
            options += ["--fromSavepoint", location]
        if one.launch.allow_non_restored:
            options.append("--allowNonRestoredState")
        try:
            with one.service.cluster():
                one.service.submit("driver", *options)
                one.status = "RUNNING"
                while not one.ending.wait(SAMPLE_S):
                    self._look(one)
        except Exception as error:
            if not one.ending.is_set():
                one.status, one.problem = "FAILED", str(error)[-2_000:]
                return
        one.status = "STOPPED"

    def _look(self, one: _Run) -> None:
        """Raises AssertionError once the job has failed for good."""
        with suppress(Unreachable, FlinkRestError, OSError, ValueError):
            rest = one.service.rest
            (job,) = rest.jobs()
            traces = rest.exceptions(job["jid"]) if job["state"] == "FAILED" else []
            assert job["state"] != "FAILED", root_cause(traces[0]) if traces else "it failed"
            url = f"{rest.url}/jobs/{job['jid']}/metrics"
            told = requests.get(url, params={"get": ",".join(SAMPLED)}, timeout=10).json()
            minute = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS
            for metric in told:
                series = self._series[one.launch.application, metric["id"]]
                value = float(metric["value"])
                series[minute] = max(value, series.get(minute, value))

    def state(self, run: str) -> str:
        return self.runs[run].status

    def problem(self, run: str) -> str:
        return self.runs[run].problem or "the job could not be started"

    def snapshot(self, run: str, name: str) -> None:
        self._taken(self.runs[run], name, stop=False)

    def stop(self, run: str, snapshot: str | None) -> None:
        one = self.runs[run]
        if snapshot is None:
            one.ending.set()
        else:
            self._taken(one, snapshot, stop=True)

    def _taken(self, one: _Run, name: str, stop: bool) -> None:
        place = one.launch.application, name
        self._snapshots[place] = "CREATING", ""
        target = f"{SAVEPOINTS}/{one.launch.application}/{name}"

        def take() -> None:
            rest = one.service.rest
            try:
                act = rest.stop_with_savepoint if stop else rest.savepoint
                self._snapshots[place] = "READY", act(one.service.run(), target)
            except (Problem, ValueError, OSError):
                self._snapshots[place] = "FAILED", ""
                return  # as Flink does: without its savepoint the job runs on
            if stop:
                one.ending.set()

        threading.Thread(target=take, daemon=True).start()

    def snapshot_state(self, application: str, name: str) -> str:
        return self._snapshots[application, name][0]

    def discard(self, application: str, name: str) -> None:
        del self._snapshots[application, name]

    def series(
        self, application: str, metric: str, since_ms: int, to_ms: int
    ) -> list[tuple[int, float]]:
        found = self._series[application, metric].items()
        return sorted((at, value) for at, value in found if since_ms <= at < to_ms)

    def logs(self, application: str) -> list[tuple[int, str]]:
        """Errors of the TaskManagers, each as of now: nobody asks when they were."""
        now = time.time_ns() // 1_000_000
        found = []
        for one in self.runs.values():
            if one.launch.application == application:
                for line in one.service.log("taskmanager").splitlines():
                    if match := ERROR_LINE.match(line):
                        told = {"messageType": match[1], "message": line}
                        found.append((now, json.dumps(told)))
        return found

    def close(self) -> None:
        """Ends all that runs."""
        for one in self.runs.values():
            one.ending.set()
        for one in self.runs.values():
            if one.thread is not None:
                one.thread.join(120)


def changed(package: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Rewrites the zip, its file of that name as ``change`` makes it."""
    with zipfile.ZipFile(package) as held:
        contents = {one: held.read(one) for one in held.namelist()}
    contents[name] = change(contents[name])
    with zipfile.ZipFile(package, "w") as made:
        for one, content in contents.items():
            made.writestr(one, content)
