"""The local stack's cluster: Flink's own client submits, its REST interface answers, disks keep."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tillstream import catalog
from tillstream import conf as settings
from tillstream.clients.flink import FlinkRest
from tillstream.clients.programs import outcome
from tillstream.clients.storage import StorageError, file_uri, local_folder, open_storage
from tillstream.clients.wait import wait_until
from tillstream.cluster import manifest, preflight, restoring
from tillstream.cluster.protocol import (
    Checkpoint,
    Checkpoints,
    Cluster,
    JobError,
    JobRun,
    NotReady,
    Say,
    SourceFigures,
    TakenSavepoint,
    silent,
)
from tillstream.cluster.savepoints import standing
from tillstream.cluster.starting import Startup, await_slots, client_cause
from tillstream.cluster.submissions import Submissions
from tillstream.errors import Unreachable
from tillstream.local import flink_home, processes
from tillstream.local.layout import Layout, environment
from tillstream.local.stack import Stack

CLIENT_TIMEOUT_S = 180.0
TAKE_TIMEOUT_S = 900.0
RESTORE_TIMEOUT_S = 1800.0
_SUBMITTED = re.compile(r"Job has been submitted with JobID ([0-9a-f]{32})")
STREAMS_OWN = "millisBehindLatest"
_FIGURES = re.compile(
    rf"^Source__.*\.numRecordsOut$|\.(?:pendingRecords|currentEmitEventTimeLag|{STREAMS_OWN})$"
)


class LocalCluster:
    """The jobs of one stack. ``savepoints_at``: instead of the stack's own folder."""

    def __init__(self, stack: Stack | None = None, savepoints_at: str | None = None) -> None:
        self.stack = stack or Stack()
        self.layout: Layout = self.stack.layout
        self.savepoints_at = (savepoints_at or file_uri(self.layout.savepoints)).rstrip("/")
        self.notes_at = file_uri(self.layout.root)
        self.submissions = Submissions(self.layout.root / "jobs.jsonl")
        self._checkpoints_at = file_uri(self.layout.checkpoints)
        self._metrics: dict[tuple[str, str], list[str]] = {}

    @property
    def flink(self) -> FlinkRest:
        """Client of the stack's cluster."""
        return FlinkRest(self.layout.must_read()["flink"]["rest"])

    # -- runs --------------------------------------------------------------------------------------

    def submit(
        self,
        name: str,
        parallelism: int | None = None,
        overrides: dict[str, Any] | None = None,
        start_from: str | None = None,
        job_file: Path | None = None,
        timeout_s: float = 90.0,
        progress: Say = silent,
        allow_dropped_state: bool = False,
        accept_loss: bool = False,
        counted_again: bool = False,
    ) -> str:
        """Submits jobs/<name>.py, or ``job_file``; all else as the protocol says."""
        overrides = overrides or {}
        changed = json.loads(os.environ.get("TILLSTREAM_CONF") or "{}")
        changed = settings.merge(changed, overrides)
        conf = self.stack.conf(changed)  # first, so that a broken setting is told without a stack
        flink = self.flink
        if found := self.running(name):
            raise NotReady(
                [f"{name} runs already ({found.job_id}): `tillstream job stop {name}` first"]
            )
        entry = catalog.find(name)
        of_tills, conf = conf.source, conf.of(entry)
        file = job_file or settings.PACKAGE / "jobs" / f"{name}.py"
        if not file.exists() or not (entry or job_file):
            raise NotReady([f"there is no job {name}: there are {', '.join(catalog.names())}"])
        location = self.locate(name, start_from) if start_from else None
        if entry and entry.sums and not counted_again:
            self._must_be_last(name, location, conf)
        parallelism = parallelism or overrides.get("job", {}).get("parallelism")
        source = ""
        if location and not parallelism:
            parallelism = self._parallelism_of(location)
            source = "as it had" if parallelism else "conf's, as nothing says which it had"
        parallelism = parallelism or conf.job.parallelism
        changed = settings.merge(changed, {"job": {"parallelism": parallelism}})
        await_slots(flink, lambda: self.layout.read().get("taskmanagers", 0), parallelism)
        if problems := preflight.problems(conf, entry, flink, self.layout, parallelism):
            raise NotReady(problems)
        found_at = standing(location, conf) if location else restoring.NOWHERE
        if not allow_dropped_state and restoring.is_before_the_door(entry, of_tills, found_at):
            raise NotReady([restoring.BEFORE_THE_DOOR.format(door=catalog.DOOR, job=name)])
        if not allow_dropped_state and (why := restoring.elsewhere(entry, conf, found_at)):
            raise NotReady([why])
        if places := restoring.places_of_consumer(entry, conf, found_at):
            if not allow_dropped_state:
                raise NotReady([restoring.OF_CONSUMER.format(job=name)])
            begins = {"source": {"kinesis": {"positions": places}}}
            changed = settings.merge(changed, begins)
        if entry and entry.raw and restoring.writes_again(conf, found_at.written_ms):
            progress(restoring.WRITES_AGAIN)
        lost = restoring.losses(conf, entry, found_at)
        accepted = conf.source.kafka.accepted_loss
        lost = [one for one in lost if accepted.get(one.place) != [one.at, one.to]]
        if lost and not accept_loss:
            error = NotReady([one.said for one in lost])
            error.notes.append(restoring.what_to_do(name, bool(entry and not entry.raw)))
            raise error
        for one in lost:
            progress(f"lost, and accepted: {one.said}")
        moves = {one.place: [one.at, one.to] for one in lost}
        if accept_loss:
            moves |= restoring.accepted_by_time(conf, entry)
        # Of a file that is not in the catalogue nobody knows which it reads.
        for section in (entry.source,) if entry else ("source", "transactions"):
            changed = settings.merge(changed, {section: {"kafka": {"accepted_loss": moves}}})
        arguments = ["run", "-d", "-p", str(parallelism)]
        if location:
            arguments += ["-s", location, *(["-n"] if allow_dropped_state else [])]
            progress(f"from {location}")
        if source:
            progress(f"parallelism {parallelism}, {source}; --parallelism asks for another")
        python = str(Path(sys.prefix) / "bin" / "python")
        arguments += ["-pyexec", python, "-pyclientexec", python]
        job_id = self._client([*arguments, "-py", str(file)], changed)
        noted = {"from": location} | ({"lost": [one.said for one in lost]} if lost else {})
        noted |= {"reads": of_tills.stream} if entry and entry.raw else {}
        self.submissions.note(name, job_id, parallelism=parallelism, **noted)
        progress(f"submitted {name}: {job_id}")
        if entry and entry.transactions and not entry.raw and not self.running(catalog.DOOR):
            progress(
                f"nothing comes to it until {catalog.DOOR} runs: `tillstream job submit {catalog.DOOR}`"
            )
        self.wait_running(job_id, timeout_s)
        return job_id

    def _must_be_last(self, name: str, location: str | None, conf: settings.Conf) -> None:
        """Of a job that sums."""
        try:
            last = self.locate(name, "latest")
        except JobError as error:
            if self.submissions.stopped_with(name):
                raise NotReady([f"{error}; --counted-again if it is to start without"]) from None
            return  # it has left nothing: another cluster's, or it is new
        same_records = location or conf.source.stream in standing(last, conf).positions
        if last != location and same_records:
            raise NotReady([restoring.not_last(name, location, last)])

    def wait_running(self, job_id: str, timeout_s: float = 90.0) -> None:
        """Returns once every task of the job runs. Raises JobError when it fails, keeps restarting, or starts
        no further task in ``timeout_s``."""
        start = Startup(self.flink, job_id, timeout_s)
        try:
            wait_until(
                start.is_over,
                RESTORE_TIMEOUT_S,
                lambda: f"job {start.name} does not run ({start.cause})",
                every_s=0.25,
            )
        except JobError:
            with contextlib.suppress(Unreachable):
                if (run := self.run(job_id)).ended:
                    self.submissions.note(run.name, job_id, ended=run.state)
            raise

    def runs(self) -> list[JobRun]:
        jobs = self.flink.jobs()
        found = [JobRun(one["jid"], one["name"], one["state"], one["start-time"]) for one in jobs]
        self.submissions.note_ended(found)
        return sorted(found, key=lambda run: -run.started_ms)

    def run(self, job_id: str) -> JobRun:
        job = self.flink.job(job_id)
        widest = max((vertex["parallelism"] for vertex in job["vertices"]), default=0)
        return JobRun(job["jid"], job["name"], job["state"], job["start-time"], widest)

    def started_from(self, job_id: str) -> str | None:
        return self.submissions.started_from(job_id)

    def running(self, name_or_id: str) -> JobRun | None:
        for run in self.runs():
            if name_or_id in (run.name, run.job_id) and not run.ended:
                return run
        return None

    def submitted(self) -> list[str]:
        return self.submissions.names()

    def lost(self) -> list[str]:
        return self.submissions.lost(self.runs())

    def stop(self, name_or_id: str, into: str | None = None, drain: bool = False) -> TakenSavepoint:
        run = self._must_run(name_or_id)
        target = into or f"{self.savepoints_at}/{run.name}"
        if folder := local_folder(target):
            target = file_uri(folder.resolve())
        location = self.flink.stop_with_savepoint(run.job_id, target, drain, TAKE_TIMEOUT_S)
        self.submissions.note(run.name, run.job_id, ended="stopped", savepoint=location)
        return self._taken(run, location)

    def cancel(self, name_or_id: str) -> str:
        run = self._must_run(name_or_id)
        self.flink.cancel(run.job_id)
        self.submissions.note(run.name, run.job_id, ended="cancelled")
        return run.job_id

    def _must_run(self, name_or_id: str) -> JobRun:
        if found := self.running(name_or_id):
            return self.run(found.job_id)
        names = [run.name for run in self.runs() if not run.ended]
        running = f"running: {', '.join(names)}" if names else "none runs"
        raise JobError(f"no job {name_or_id} runs; {running}")

    # -- state -------------------------------------------------------------------------------------

    def savepoint(self, name_or_id: str) -> TakenSavepoint:
        run = self._must_run(name_or_id)
        target = f"{self.savepoints_at}/{run.name}"
        return self._taken(run, self.flink.savepoint(run.job_id, target, TAKE_TIMEOUT_S))

    def _taken(self, run: JobRun, location: str) -> TakenSavepoint:
        version = str(self.flink.overview().get("flink-version", ""))
        triggered = completed = time.time_ns() // 1_000_000
        for one in self.flink.checkpoints(run.job_id).get("history", ()):
            if _folder_name(str(one.get("external_path") or "")) == _folder_name(location):
                triggered, completed = one["trigger_timestamp"], one["latest_ack_timestamp"]
        return TakenSavepoint(location, run, triggered, completed, version)

    def locate(self, name: str, start_from: str) -> str:
        if not start_from.startswith("latest"):
            path = local_folder(start_from.removesuffix("/_metadata"))
            if path is not None and not (path / "_metadata").exists():
                raise JobError(
                    f"{start_from} is no savepoint or checkpoint (it has no _metadata): "
                    f"`tillstream job list` shows what {name} can go on from"
                )
            return file_uri(path.resolve()) if path is not None else start_from
        kinds = {
            "latest": (self._checkpoints, self._savepoints),
            "latest-checkpoint": (self._checkpoints,),
            "latest-savepoint": (self._savepoints,),
        }
        if start_from not in kinds:
            raise JobError(f"{start_from!r} is none of {', '.join(kinds)}")
        newest = max((one for of in kinds[start_from] for one in of(name)), default=None)
        if start_from != "latest-checkpoint" and (left := self.submissions.stopped_with(name)):
            at_ms, location = left
            if newest is None or at_ms > newest[0]:
                # Put elsewhere by `job stop --savepoint DIR`: an older one must not take its place.
                return self.locate(name, location)
        if newest:
            return newest[1]
        what = start_from.removeprefix("latest").removeprefix("-") or "savepoint or checkpoint"
        raise JobError(
            f"{name} has left no {what}: `tillstream job submit {name}` starts without state"
        )

    def _checkpoints(self, name: str) -> Iterator[tuple[int, str]]:
        """(ms, URI) of complete retained ones of every run, also before a crash."""
        for entry in self.submissions.all():
            if entry["name"] == name:
                yield from self._complete(f"{self._checkpoints_at}/{entry['job_id']}")

    def _savepoints(self, name: str) -> Iterator[tuple[int, str]]:
        # 0.1.0 left them in the stack's own folder, whatever conf said.
        for folder in {self.savepoints_at, file_uri(self.layout.savepoints)}:
            yield from self._complete(f"{folder}/{name}")

    def _complete(self, folder: str) -> Iterator[tuple[int, str]]:
        storage = open_storage(folder, self.stack.conf())
        for file in storage.files():
            inner, _, last = file.name.rpartition("/")
            if last == "_metadata" and "/" not in inner:
                yield file.written_ms, f"{storage.root}/{inner}"

    def discard(self, location: str) -> None:
        """Nothing: it is all in the folder."""

    def last_checkpoint(self, job_id: str) -> str | None:
        return max(self._complete(f"{self._checkpoints_at}/{job_id}"), default=(0, None))[1]

    def checkpoint(self, job_id: str) -> None:
        self.flink.checkpoint(job_id)

    def checkpoints(self, job_id: str) -> Checkpoints:
        found = self.flink.checkpoints(job_id)
        last = (found.get("latest") or {}).get("completed")
        return Checkpoints(
            int(found["counts"]["completed"]),
            Checkpoint(last["end_to_end_duration"], last["state_size"]) if last else None,
            int(found["counts"]["failed"]),
        )

    # -- how it goes -------------------------------------------------------------------------------

    def figures(self, job_id: str) -> SourceFigures:
        job = self.flink.job(job_id)
        read, waiting = 0, None
        behind: dict[str, int] = {}
        for vertex in job["vertices"]:
            if not vertex["name"].startswith("Source:"):
                continue
            # What the source itself gave: what the whole vertex writes is as often as it has readers.
            own = int(vertex["metrics"]["write-records"])
            for name, row in self._source_metrics(job_id, vertex["id"]):
                if name == "numRecordsOut":
                    own = int(row["sum"])
                elif name == "pendingRecords":
                    waiting = (waiting or 0) + int(row["sum"])
                elif row["max"] >= 0:
                    behind[name] = max(behind.get(name, 0), int(row["max"]))
            read += own
        # Kinesis itself says how far a reader is behind. The other is of what was emitted last, and stays
        # where it was while nothing comes.
        behind_ms = behind.get(STREAMS_OWN, max(behind.values(), default=None))
        return SourceFigures(job["state"], read, waiting, behind_ms)

    def _source_metrics(self, job_id: str, vertex: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """(name, its sum and max over subtasks); none while the engine knows none."""
        key = (job_id, vertex)
        with contextlib.suppress(Unreachable):
            if not self._metrics.get(key):
                names = self.flink.metric_names(job_id, vertex)
                self._metrics[key] = [name for name in names if _FIGURES.search(name)]
            if self._metrics[key]:
                for row in self.flink.metric_rows(job_id, vertex, self._metrics[key]):
                    yield row["id"].rpartition(".")[2], row

    def exceptions(self, job_id: str, since_ms: int = 0) -> list[str]:
        return self.flink.exceptions(job_id, since_ms)

    def logs(self, lines: int = 100) -> list[str]:
        logs = self.layout.logs.glob("*manager*.log")
        found = [line for log in logs for line in processes.tail(log, lines)]
        return sorted(found)[-lines:]  # each begins with its time

    def _parallelism_of(self, location: str) -> int | None:
        """Of the run that left it: from its manifest, else from what was noted at its submission."""
        with contextlib.suppress(ValueError, StorageError):
            raw = open_storage(location, self.stack.conf()).read(manifest.FILE)
            if raw is not None:
                return manifest.decode(raw).parallelism or None
        return self.submissions.parallelism_of(location)

    def _client(self, arguments: list[str], conf_overrides: dict[str, Any]) -> str:
        env = {**environment(self.layout), **flink_home.client_environment(self.layout)}
        env["TILLSTREAM_CONF"] = json.dumps(conf_overrides)
        try:
            command = flink_home.client(self.layout, *arguments)
            done = outcome(command, CLIENT_TIMEOUT_S, env=env, cwd=settings.ROOT)
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


def open_cluster(conf: settings.Conf) -> Cluster:
    """The cluster that conf means: the local stack's, or Amazon's service in every other environment.

    Where nobody said which is meant it is the local one: no command of a newcomer reaches for production.
    """
    if not conf.local and not settings.unsaid():
        from tillstream.deploy.cluster import AmsfCluster

        return AmsfCluster(conf)
    return LocalCluster(savepoints_at=conf.savepoints.location)


def _folder_name(location: str) -> str:
    return location.rstrip("/").rpartition("/")[2]
