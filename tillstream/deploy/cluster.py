"""Amazon Managed Service for Apache Flink as a `Cluster`: savepoints, replay and the like work there too.

A savepoint is a snapshot of the service. It has no files, so a small one stands in its folder under
``savepoints_at``, beside which a manifest goes; what the snapshot holds cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from tillstream import catalog
from tillstream import conf as settings
from tillstream.clients.storage import open_storage
from tillstream.cluster import restoring
from tillstream.cluster.protocol import (
    Checkpoint,
    Checkpoints,
    JobError,
    JobRun,
    NotReady,
    Say,
    SourceFigures,
    TakenSavepoint,
    silent,
)
from tillstream.conf import Conf, layers
from tillstream.deploy import figures as cloudwatch
from tillstream.deploy import requests
from tillstream.deploy.figures import Figures
from tillstream.deploy.office import Office, packages_folder
from tillstream.deploy.plan import Config, config_of
from tillstream.deploy.release import packed
from tillstream.deploy.runs import CANCELLED, LOST, STOPPED, Properties, Run
from tillstream.deploy.service import START_S, STOP_S, Application, ServiceError
from tillstream.errors import Problem

# The application's word -> Flink's.
STATES = {"RUNNING": "RUNNING", "STARTING": "CREATED", "STOPPING": "CANCELLING",
          "FORCE_STOPPING": "CANCELLING"}  # fmt: skip
ENDS = {STOPPED: "FINISHED", CANCELLED: "CANCELED", LOST: "FAILED"}
LOOK_BACK_MS = 3_600_000
CHECKPOINT_MINUTES = 15


class AmsfCluster:
    """``office``: instead of one by ``conf``."""

    def __init__(self, conf: Conf, office: Office | None = None, packages: Any = None) -> None:
        self.conf, self.office = conf, office or Office(conf)
        self.packages = packages or packages_folder(conf)
        self._service = self.office.service
        bucket = f"s3://{self.office.releases.bucket}"
        self.savepoints_at = (conf.savepoints.location or f"{bucket}/savepoints").rstrip("/")
        self.notes_at = f"{bucket}/notes"

    # -- runs --------------------------------------------------------------------------------------

    def submit(
        self,
        name: str,
        parallelism: int | None = None,
        overrides: dict[str, Any] | None = None,
        start_from: str | None = None,
        *,
        progress: Say = silent,
        allow_dropped_state: bool = False,
        accept_loss: bool = False,
        counted_again: bool = False,
    ) -> str:
        """Starts the code that the application has; one that is not there yet is created from its package.
        ``overrides`` are properties of the application until the next submission."""
        if catalog.find(name) is None:
            raise NotReady([f"there is no job {name}: there are {', '.join(catalog.names())}"])
        if found := self.running(name):
            raise NotReady(
                [f"{name} runs already ({found.job_id}): `tillstream deploy stop {name}` first"]
            )
        note = self.office.journal(name).read()
        if note and note.open:
            raise NotReady(
                [f"a deployment of {name} is not through: `tillstream deploy apply {name}`"]
            )
        location = self.locate(name, start_from) if start_from else None
        runs = self.office.runs(name)
        last = runs.last()
        if last and catalog.job(name).sums and not counted_again:
            left = self._location(name, last.left) if last.left else None
            summed = left or self.office.deployer(name).health.may_have_written(last.started_ms)
            if summed and (left is None or location != left):
                raise NotReady([restoring.not_last(name, location, left)])
        parallelism = parallelism or (last.parallelism if location and last else None)
        now = self._application(name) or self._create(name)
        base = last.base if last and last.base is not None else config_of(now).properties
        overrides = overrides or {}
        if accept_loss and (taken := restoring.accepted_by_time(self.conf, catalog.find(name))):
            accepted = {"source": {"kafka": {"accepted_loss": taken}}}
            overrides = settings.merge(overrides, accepted)
        config = msgspec.structs.replace(
            config_of(now),
            properties=_over(base, overrides),
            parallelism=parallelism or self.conf.job.parallelism,
        )
        return self._start(name, now, config, location, allow_dropped_state, progress, base)

    def _create(self, name: str) -> Application:
        try:
            found = packed(name, self.packages)
            self.office.releases.upload(found)
            wanted = self.office.wanted(found, None).config
        except Problem as error:
            raise NotReady([error.message]) from None
        return self._service.create(requests.create(self.office.application(name), wanted))

    def _start(
        self,
        name: str,
        now: Application,
        config: Config,
        location: str | None,
        allow: bool,
        progress: Say,
        base: Properties,
    ) -> str:
        snapshot = _last(location) if location else None
        try:
            if change := requests.update(now, config):
                self._service.update(now.name, now.version, change)
            progress(f"from {location}" if location else "without state")
            started = self._service.start(now.name, snapshot, allow)
            found = self._service.wait(now.name, frozenset({"RUNNING"}), START_S)
        except ServiceError as error:
            raise JobError(error.message) from None
        if not found.runs:
            raise JobError(
                f"{name} does not start: {self._service.problem(now.name) or found.status}"
            )
        given = base if config.properties != base else None
        run = self.office.runs(name).begun(started, config.parallelism, snapshot, given)
        progress(f"submitted {name}: {run.id}")
        return run.id

    def _application(self, name: str) -> Application | None:
        return self._service.find(self.office.application(name))

    def _noted(self) -> Iterator[tuple[str, Application | None, list[Run]]]:
        """Every job that was ever submitted, as it is now."""
        for name in catalog.names():
            now, runs = self._application(name), self.office.runs(name)
            known = runs.all()
            if now and now.runs and (not known or known[0].ended):  # started from the console
                runs.begun(self.office.clock.now_ms(), now.parallelism, None)
                known = runs.all()
            if known:
                yield name, now, known

    def runs(self) -> list[JobRun]:
        found = [
            _shown(name, now, run, n)
            for name, now, runs in self._noted()
            for n, run in enumerate(runs)
        ]
        return sorted(found, key=lambda run: -run.started_ms)

    def run(self, job_id: str) -> JobRun:
        name, run = self._of(job_id)
        newest = self.office.runs(name).last()
        number = 0 if newest and newest.id == job_id else 1
        return _shown(name, self._application(name), run, number)

    def _of(self, job_id: str) -> tuple[str, Run]:
        for name in catalog.names():
            if job_id.startswith(f"{self.office.application(name)}-"):
                for run in self.office.runs(name).all():
                    if run.id == job_id:
                        return name, run
        raise JobError(f"there is no run {job_id}: `tillstream job list` shows them")

    def started_from(self, job_id: str) -> str | None:
        name, run = self._of(job_id)
        return self._location(name, run.restored) if run.restored else None

    def running(self, name_or_id: str) -> JobRun | None:
        for run in self.runs():
            if name_or_id in (run.name, run.job_id) and not run.ended:
                return run
        return None

    def submitted(self) -> list[str]:
        return sorted(name for name, _, _ in self._noted())

    def lost(self) -> list[str]:
        return sorted(
            name for name, now, runs in self._noted()
            if not runs[0].ended and (now is None or now.status == "READY")
        )  # fmt: skip

    def stop(self, name_or_id: str, into: str | None = None, drain: bool = False) -> TakenSavepoint:
        run = self._must_run(name_or_id)
        if into or drain:
            raise JobError(
                "the service keeps snapshots itself and cannot drain: leave --savepoint DIR and --drain out"
            )
        application = self.office.application(run.name)
        try:
            kept = self._service.names_of_snapshots(application)
            self._service.stop(application)
            now = self._service.wait(application, frozenset({"READY"}), STOP_S)
        except ServiceError as error:
            raise JobError(error.message) from None
        left = self._service.since(application, kept)
        found = self._service.snapshot(application, left) if left else None
        if now.runs or found is None:
            said = self._service.problem(application) or "it left no snapshot"
            raise JobError(f"{run.name} is {now.status}: {said}")
        self.office.runs(run.name).ended(STOPPED, self.office.clock.now_ms(), left)
        return self._taken(run, left, found.made_ms, now)

    def cancel(self, name_or_id: str) -> str:
        run = self._must_run(name_or_id)
        application = self.office.application(run.name)
        self._service.stop(application, force=True)
        self._service.wait(application, frozenset({"READY"}), STOP_S)
        self.office.runs(run.name).ended(CANCELLED, self.office.clock.now_ms())
        return run.job_id

    def _must_run(self, name_or_id: str) -> JobRun:
        if found := self.running(name_or_id):
            return found
        names = [run.name for run in self.runs() if not run.ended]
        running = f"running: {', '.join(names)}" if names else "none runs"
        raise JobError(f"no job {name_or_id} runs; {running}")

    # -- state -------------------------------------------------------------------------------------

    def savepoint(self, name_or_id: str) -> TakenSavepoint:
        run = self._must_run(name_or_id)
        now = self._service.describe(self.office.application(run.name))
        name = f"tillstream-{self.office.clock.now_ms()}"
        try:
            found = self._service.take(now.name, name)
        except ServiceError as error:
            raise JobError(error.message) from None
        return self._taken(run, name, found.made_ms, now)

    def _location(self, name: str, snapshot: str) -> str:
        return f"{self.savepoints_at}/{name}/{snapshot}"

    def _taken(self, run: JobRun, snapshot: str, made_ms: int, now: Application) -> TakenSavepoint:
        location = self._location(run.name, snapshot)
        said = {"application": now.name, "snapshot": snapshot, "runtime": now.runtime}
        open_storage(location, self.conf).write("_metadata", json.dumps(said).encode())
        line = now.runtime.removeprefix("FLINK-").replace("_", ".")
        done = max(self.office.clock.now_ms(), made_ms)
        return TakenSavepoint(location, run, made_ms, done, line)

    def locate(self, name: str, start_from: str) -> str:
        application = self.office.application(name)
        there = self._service.find(application) is not None
        if start_from in ("latest", "latest-savepoint"):
            if there and (newest := self._service.newest(application)):
                return self._location(name, newest.name)
            raise JobError(
                f"{name} has left no savepoint: `tillstream job submit {name}` starts without state"
            )
        if start_from == "latest-checkpoint":
            raise JobError(f"{name} has left no checkpoint: the service keeps those to itself")
        snapshot = _last(start_from)
        if not there or self._service.snapshot(application, snapshot) is None:
            raise JobError(
                f"there is no snapshot {snapshot} of {name}: `tillstream deploy status {name}` lists them"
            )
        return self._location(name, snapshot)

    def discard(self, location: str) -> None:
        job, snapshot = location.rstrip("/").split("/")[-2:]
        self._service.discard(self.office.application(job), snapshot)

    def last_checkpoint(self, job_id: str) -> str | None:
        """None: the service keeps checkpoints to itself."""
        return None

    def checkpoint(self, job_id: str) -> None:
        """Waits for the service's own: none can be asked for."""
        began = self.office.clock.now_ms()
        while self._figures(job_id, began).completed_checkpoints < 2:
            if self.office.clock.now_ms() - began > CHECKPOINT_MINUTES * 60_000:
                raise JobError(f"{job_id} completes no checkpoint in {CHECKPOINT_MINUTES} minutes")
            self._service.pause()

    def checkpoints(self, job_id: str) -> Checkpoints:
        found = self._figures(job_id)
        duration, size = found.last(cloudwatch.DURATION), found.last(cloudwatch.SIZE)
        last = Checkpoint(int(duration), int(size or 0)) if duration is not None else None
        return Checkpoints(found.completed_checkpoints, last, found.failed_checkpoints)

    # -- how it goes -------------------------------------------------------------------------------

    def _figures(self, job_id: str, since_ms: int = 0) -> Figures:
        name, run = self._of(job_id)
        to_ms = run.ended_ms or self.office.clock.now_ms()
        since_ms = max(since_ms, run.started_ms)
        return self.office.watch.figures(self.office.application(name), since_ms, to_ms)

    def figures(self, job_id: str) -> SourceFigures:
        """``waiting`` is not known: the service's figure is of the worst partition alone."""
        found = self._figures(job_id, self.office.clock.now_ms() - LOOK_BACK_MS)
        behind = found.last(cloudwatch.BEHIND)
        read = int(found.last(cloudwatch.READ) or 0)
        return SourceFigures(
            self.run(job_id).state, read, None, None if behind is None else int(behind)
        )

    def exceptions(self, job_id: str, since_ms: int = 0) -> list[str]:
        name, run = self._of(job_id)
        begin = max(since_ms, run.started_ms)
        lines = self.office.watch.lines(self.office.log_group(name), begin)
        end = run.ended_ms or self.office.clock.now_ms()
        return [line.trace for line in lines if line.trace and line.at_ms <= end][::-1]

    def logs(self, lines: int = 100) -> list[str]:
        since = self.office.clock.now_ms() - LOOK_BACK_MS
        found = [
            (line.at_ms, f"{name}: {line.message}")
            for name in self.submitted()
            for line in self.office.watch.lines(self.office.log_group(name), since)
        ]
        return [text for _, text in sorted(found)][-lines:] if lines else []


def _last(location: str) -> str:
    return location.rstrip("/").rpartition("/")[2]


def _over(base: Properties, overrides: dict[str, Any]) -> Properties:
    if not overrides:
        return base
    return base | {layers.GROUP: base.get(layers.GROUP, {}) | layers.flat(overrides)}


def _shown(name: str, now: Application | None, run: Run, number: int) -> JobRun:
    """``number``: 0 for the newest run, the only one that may not have ended."""
    if run.ended:
        state = ENDS.get(run.ended, "FINISHED")
    elif number or now is None or now.status == "READY":
        state = "FAILED"
    else:
        state = STATES.get(now.status, "RESTARTING")
    return JobRun(run.id, name, state, run.started_ms, run.parallelism)
