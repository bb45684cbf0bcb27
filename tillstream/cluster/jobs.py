"""Submitting jobs to the cluster and getting them back: savepoints, checkpoints, restores."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from tillstream import catalog
from tillstream import conf as settings
from tillstream.clients.flink import TERMINAL, FlinkRest, FlinkRestError, root_cause
from tillstream.cluster import preflight, restoring
from tillstream.errors import Problem, Problems
from tillstream.local import flink_home
from tillstream.local.layout import Layout, environment
from tillstream.local.stack import Stack

CLIENT_TIMEOUT_S = 180.0
FAILURES_TOLERATED = 2
SETTLED_S = 1.5  # a job that fails on its first records runs for a moment too
_SUBMITTED = re.compile(r"Job has been submitted with JobID ([0-9a-f]{32})")

Progress = Callable[[str], None]


class JobError(Problem):
    """The job does not run; the message holds the innermost cause."""

    def lines(self) -> list[str]:
        remedy = restoring.advice(self.message)
        return super().lines() + ([f"what to do: {remedy}"] if remedy else [])


class NotReady(Problems, JobError):
    """Something the job needs is missing; ``problems`` has a line for each, with its fix."""


class Jobs:
    """The jobs of one stack."""

    def __init__(self, stack: Stack | None = None) -> None:
        self.stack = stack or Stack()
        self.layout: Layout = self.stack.layout

    @property
    def flink(self) -> FlinkRest:
        """Client of the stack's cluster."""
        record = self.layout.read()
        if not record:
            raise JobError("there is no stack: run `tillstream up`")
        return FlinkRest(record["flink"]["rest"])

    def submit(
        self,
        name: str,
        parallelism: int | None = None,
        overrides: dict[str, Any] | None = None,
        start_from: str | None = None,
        job_file: Path | None = None,
        timeout_s: float = 90.0,
        progress: Progress = lambda line: None,
        allow_dropped_state: bool = False,
    ) -> str:
        """Submits jobs/<name>.py, waits until all its tasks run, returns its job id.

        ``overrides`` is a nested dict over conf/; ``start_from`` a savepoint or checkpoint, or
        ``latest``, ``latest-savepoint``, ``latest-checkpoint``. Raises NotReady before anything is
        submitted, JobError with the innermost cause after.
        """
        flink = self.flink
        if flink_id := self._running(name):
            raise NotReady(
                [f"{name} runs already ({flink_id}): `tillstream job stop {name}` first"]
            )
        entry = catalog.find(name)
        if entry is None and job_file is None:
            raise NotReady([f"there is no job {name}: there are {', '.join(catalog.names())}"])
        file = job_file or settings.PACKAGE / "jobs" / f"{name}.py"
        changed = json.loads(os.environ.get("TILLSTREAM_CONF") or "{}")
        changed = settings.merge(changed, overrides or {})
        if parallelism:
            changed = settings.merge(changed, {"job": {"parallelism": parallelism}})
        stack_conf = settings.endpoints(self.layout.read())
        conf = settings.load("local", overrides=settings.merge(stack_conf, changed))
        self._await_slots(flink, conf.job.parallelism)
        if found := preflight.problems(conf, entry, flink, self.layout, conf.job.parallelism):
            raise NotReady(found)
        location = self.locate(name, start_from) if start_from else None
        arguments = ["run", "-d", "-p", str(conf.job.parallelism)]
        if location:
            arguments += ["-s", location, *(["-n"] if allow_dropped_state else [])]
            progress(f"from {location}")
        python = str(Path(sys.prefix) / "bin" / "python")
        arguments += ["-pyexec", python, "-pyclientexec", python]
        job_id = self._client([*arguments, "-py", str(file)], changed)
        self._remember(name, job_id, location)
        progress(f"submitted {name}: {job_id}")
        self.wait_running(job_id, timeout_s)
        return job_id

    def _await_slots(self, flink: FlinkRest, needed: int, timeout_s: float = 30.0) -> None:
        """Waits for slots that no job holds any more, e.g. of a JobManager that was killed."""
        deadline = time.monotonic() + timeout_s
        with contextlib.suppress(FlinkRestError):  # the checks that follow say it in full
            while time.monotonic() < deadline:
                overview = flink.overview()
                expected = self.layout.read().get("taskmanagers", 0)
                held = any(found["state"] not in TERMINAL for found in flink.jobs())
                if overview["slots-available"] >= needed or held or expected < needed:
                    return
                time.sleep(0.25)

    def wait_running(self, job_id: str, timeout_s: float = 90.0) -> None:
        """Returns once every task of the job runs; JobError when it fails or keeps restarting.

        Waiting for a slot, as after a TaskManager's death, is not held against the job.
        """
        flink = self.flink
        began_ms = time.time_ns() // 1_000_000
        running_since: float | None = None
        failed = 0
        deadline = time.monotonic() + timeout_s
        while True:
            job = flink.job(job_id)
            tasks = [vertex["status"] for vertex in job["vertices"]]
            failures = [
                trace
                for trace in flink.exceptions(job_id, began_ms)
                if "NoResourceAvailableException" not in trace
            ]
            if job["state"] == "RUNNING" and all(s in ("RUNNING", "FINISHED") for s in tasks):
                if running_since is None or len(failures) > failed:
                    running_since = time.monotonic()
                elif time.monotonic() - running_since > SETTLED_S:
                    return
            else:
                running_since = None
            failed = len(failures)
            if job["state"] in TERMINAL - {"FINISHED"}:
                failures = failures or flink.exceptions(job_id)
                cause = root_cause(failures[0]) if failures else "no cause given"
                raise JobError(f"job {job['name']} {job['state'].lower()}: {cause}")
            if job["state"] == "FINISHED":
                return
            if len(failures) > FAILURES_TOLERATED:
                raise JobError(
                    f"job {job['name']} keeps restarting: {root_cause(failures[0])}\n"
                    f"it still tries; `tillstream job cancel {job_id}` ends it"
                )
            if time.monotonic() > deadline:
                cause = root_cause(failures[0]) if failures else f"its tasks are {set(tasks)}"
                raise JobError(
                    f"job {job['name']} does not run after {timeout_s:.0f} s: {cause}\n"
                    "`tillstream status` shows slots and processes"
                )
            time.sleep(0.25)

    def stop(self, name_or_id: str, directory: str | None = None, drain: bool = False) -> str:
        """Stops with a savepoint; returns its location. ``drain``: only if it never comes back."""
        job_id = self.resolve(name_or_id)
        name = self.flink.job(job_id)["name"]
        target = directory or (self.layout.savepoints / name).as_uri()
        if "://" not in target and not target.startswith("file:"):
            target = Path(target).resolve().as_uri()
        return self.flink.stop_with_savepoint(job_id, target, drain)

    def cancel(self, name_or_id: str) -> str:
        """Cancels a job and returns its id; its last checkpoint is kept."""
        job_id = self.resolve(name_or_id)
        self.flink.cancel(job_id)
        return job_id

    def resolve(self, name_or_id: str) -> str:
        """Id of the unfinished job of that name or id."""
        job_id = self._running(name_or_id)
        if job_id is None:
            names = [j["name"] for j in self.flink.jobs() if j["state"] not in TERMINAL]
            running = f"running: {', '.join(names)}" if names else "none runs"
            raise JobError(f"no job {name_or_id} runs; {running}")
        return job_id

    def _running(self, name_or_id: str) -> str | None:
        return self.flink.running(name_or_id)

    # -- where a job can go on from ----------------------------------------------------------------

    def locate(self, name: str, start_from: str) -> str:
        """URI of a savepoint or checkpoint: a path, or one of the words ``latest...``."""
        if not start_from.startswith("latest"):
            path = _local(start_from)
            if path is not None and not (path / "_metadata").exists():
                raise JobError(
                    f"{start_from} is no savepoint or checkpoint (it has no _metadata): "
                    f"`tillstream job list` shows what {name} can go on from"
                )
            return path.resolve().as_uri() if path is not None else start_from
        kinds = {
            "latest": self.checkpoints(name) + self.savepoints(name),
            "latest-checkpoint": self.checkpoints(name),
            "latest-savepoint": self.savepoints(name),
        }
        if start_from not in kinds:
            raise JobError(f"{start_from!r} is none of {', '.join(kinds)}")
        if not kinds[start_from]:
            what = start_from.removeprefix("latest").removeprefix("-") or "savepoint or checkpoint"
            raise JobError(f"{name} has left no {what}: `tillstream job submit {name}` starts anew")
        return max(kinds[start_from], key=_completed_at).as_uri()

    def checkpoints(self, name: str) -> list[Path]:
        """Complete retained checkpoints of every run of the job, also before a crash."""
        ids = [entry["job_id"] for entry in self.history() if entry["name"] == name]
        found = []
        for job_id in ids:
            found += self.checkpoints_of(job_id)
        return found

    def checkpoints_of(self, job_id: str) -> list[Path]:
        """Complete retained checkpoints of one run, oldest first."""
        found = (self.layout.checkpoints / job_id).glob("chk-*/_metadata")
        return sorted((path.parent for path in found), key=_completed_at)

    def savepoints(self, name: str) -> list[Path]:
        """Complete savepoints in the stack's own folder."""
        return [p.parent for p in (self.layout.savepoints / name).glob("savepoint-*/_metadata")]

    def history(self) -> list[dict[str, Any]]:
        """Every submission: name, job_id, from, time_ms. Outlives the JobManager's memory."""
        file = self._history_file()
        lines = file.read_text().splitlines() if file.exists() else []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):  # a line cut short by a full disk
                found.append(json.loads(line))
        return found

    def _history_file(self) -> Path:
        return self.layout.root / "jobs.jsonl"

    def _remember(self, name: str, job_id: str, location: str | None) -> None:
        entry = {
            "name": name,
            "job_id": job_id,
            "from": location,
            "time_ms": time.time_ns() // 1_000_000,
        }
        with self._history_file().open("a") as file:
            file.write("\n" + json.dumps(entry))

    def _client(self, arguments: list[str], conf_overrides: dict[str, Any]) -> str:
        env = {**environment(self.layout), **flink_home.client_environment(self.layout)}
        env["TILLSTREAM_CONF"] = json.dumps(conf_overrides)
        try:
            done = subprocess.run(
                flink_home.client(self.layout, *arguments),
                env=env,
                cwd=settings.ROOT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=CLIENT_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise JobError(
                f"submitting takes more than {CLIENT_TIMEOUT_S:.0f} s: try again"
            ) from None
        said = done.stdout + "\n" + done.stderr
        submitted = _SUBMITTED.search(said)
        if done.returncode != 0 or submitted is None:
            self.layout.output("client").write_text(said)
            raise JobError(f"not submitted: {client_cause(said)}\nmore: `tillstream logs client`")
        return submitted[1]


def client_cause(said: str) -> str:
    """Why the client failed: the job's own Python error where there is one, else Flink's."""
    # Flink ends with "Python process exited", whatever the process had said before.
    told, _, _ = said.partition("\norg.apache.flink.client.program.ProgramAbortException")
    if "Caused by: " in told:
        said = told
    lines = said.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("Traceback (most recent call")]
    if starts:
        block = []
        for line in lines[starts[-1] + 1 :]:
            block.append(line)
            if line and not line.startswith(" "):
                break
        if not block[-1].startswith("py4j."):
            return "\n  ".join([block[-1], *(line.strip() for line in block[-5:-1])])
        return root_cause(said, python_lines=0)  # those are py4j's own
    return root_cause(said)


def _local(location: str) -> Path | None:
    """The folder a location means, None when it is not on a local disk."""
    parsed = urlparse(location)
    if parsed.scheme in ("", "file"):
        return Path(unquote(parsed.path))
    return None


def _completed_at(folder: Path) -> float:
    return (folder / "_metadata").stat().st_mtime


__all__ = ["FlinkRestError", "JobError", "Jobs", "NotReady", "client_cause"]
