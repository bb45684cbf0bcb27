"""A cluster in memory: runs begin and end as asked, savepoints are empty files on a disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tillstream.cluster.protocol import (
    Checkpoint,
    Checkpoints,
    JobError,
    JobRun,
    NotReady,
    SourceFigures,
    TakenSavepoint,
)


class FakeCluster:
    """``submitted_as`` takes note of what was asked for; ``left`` are a run's checkpoints."""

    def __init__(self, folder: Path, known: tuple[str, ...] = ()) -> None:
        self._folder, self._known = folder, known
        self.notes_at = folder.as_uri()
        self.savepoints_at = (folder / "savepoints").as_uri()
        self.submitted_as: list[dict[str, Any]] = []
        self.completed = 0
        self.left: dict[str, list[str]] = {}
        self._runs: list[JobRun] = []
        self._over: set[str] = set()
        self._taken: dict[str, list[str]] = {}
        self._clock = 1_764_000_000_000

    def lose(self) -> None:
        """What a JobManager's death does: it knows of nothing."""
        self._runs = []

    def _now(self) -> int:
        self._clock += 1_000
        return self._clock

    def submit(
        self,
        name: str,
        parallelism: int | None = None,
        overrides: dict[str, Any] | None = None,
        start_from: str | None = None,
        *,
        progress: Any = None,
        allow_dropped_state: bool = False,
        accept_loss: bool = False,
        counted_again: bool = False,
    ) -> str:
        if self.running(name):
            raise NotReady([f"{name} runs already: `tillstream job stop {name}` first"])
        if self._known and name not in self._known:
            raise NotReady([f"no job {name}: there are {', '.join(self._known)}"])
        location = self.locate(name, start_from) if start_from else None
        if location and not parallelism:
            parallelism = self._had(name)
        changed = overrides or {}
        source = changed.get("source") or changed.get("transactions", {})
        self.submitted_as.append(
            {"source": source, "from": location, "drops": allow_dropped_state, "p": parallelism,
             "name": name, "accepts": accept_loss}
        )  # fmt: skip
        job_id = f"job-{len(self.submitted_as)}"
        self._runs.insert(0, JobRun(job_id, name, "RUNNING", self._now(), parallelism or 2))
        return job_id

    def _had(self, name: str) -> int | None:
        asked = [one["p"] for one in self.submitted_as if one["name"] == name]
        return asked[-1] if asked else None

    def runs(self) -> list[JobRun]:
        return list(self._runs)

    def run(self, job_id: str) -> JobRun:
        for run in self._runs:
            if run.job_id == job_id:
                return run
        raise JobError(f"no run {job_id}")

    def started_from(self, job_id: str) -> str | None:
        return self.submitted_as[int(job_id.removeprefix("job-")) - 1]["from"]

    def running(self, name_or_id: str) -> JobRun | None:
        for run in self._runs:
            if name_or_id in (run.name, run.job_id) and not run.ended:
                return run
        return None

    def submitted(self) -> list[str]:
        return sorted({one["name"] for one in self.submitted_as})

    def lost(self) -> list[str]:
        known = {run.job_id for run in self._runs} | self._over
        last = {one["name"]: f"job-{n}" for n, one in enumerate(self.submitted_as, 1)}
        return sorted(n for n, run in last.items() if run not in known and not self.running(n))

    def stop(self, name_or_id: str, into: str | None = None, drain: bool = False) -> TakenSavepoint:
        run = self._must_run(name_or_id)
        taken = self._take(run, into)
        self._end(run, "FINISHED")
        return taken

    def cancel(self, name_or_id: str) -> str:
        run = self._must_run(name_or_id)
        self._end(run, "CANCELED")
        return run.job_id

    def savepoint(self, name_or_id: str) -> TakenSavepoint:
        return self._take(self._must_run(name_or_id), None)

    def _must_run(self, name_or_id: str) -> JobRun:
        if run := self.running(name_or_id):
            return run
        raise JobError(f"no job {name_or_id} runs; none runs")

    def _end(self, run: JobRun, state: str) -> None:
        self._over.add(run.job_id)
        self._runs = [replace(r, state=state) if r == run else r for r in self._runs]

    def _take(self, run: JobRun, into: str | None) -> TakenSavepoint:
        taken = self._taken.setdefault(run.name, [])
        folder = self._folder / "savepoints" / run.name / f"savepoint-{len(taken)}"
        folder.mkdir(parents=True)
        (folder / "_metadata").write_bytes(b"")
        taken.append(folder.as_uri())
        return TakenSavepoint(folder.as_uri(), run, self._now(), self._now(), "1.20")

    def locate(self, name: str, start_from: str) -> str:
        if not start_from.startswith("latest"):
            return start_from
        of = {f"job-{n}" for n, one in enumerate(self.submitted_as, 1) if one["name"] == name}
        left = [at for job_id in sorted(of) for at in self.left.get(job_id, [])]
        found = {"latest-checkpoint": left, "latest-savepoint": self._taken.get(name, [])}
        found["latest"] = [*left, *self._taken.get(name, [])]
        if not found[start_from]:
            raise JobError(f"{name} has left no savepoint or checkpoint")
        return found[start_from][-1]

    def discard(self, location: str) -> None:
        """It is all in the folder."""

    def last_checkpoint(self, job_id: str) -> str | None:
        left = self.left.get(job_id)
        return left[-1] if left else None

    def checkpoint(self, job_id: str) -> None:
        self.completed += 1

    def checkpoints(self, job_id: str) -> Checkpoints:
        return Checkpoints(self.completed, Checkpoint(5, 100) if self.completed else None)

    def figures(self, job_id: str) -> SourceFigures:
        return SourceFigures(self.run(job_id).state, 0, None, None)

    def exceptions(self, job_id: str, since_ms: int = 0) -> list[str]:
        return []

    def logs(self, lines: int = 100) -> list[str]:
        return ["all is well"][:lines]
