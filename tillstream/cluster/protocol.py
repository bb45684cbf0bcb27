"""What runs jobs, as commands, savepoints and replay see it.

``LocalCluster`` is the one of the local stack, ``AmsfCluster`` Amazon's service: there a job is an
application, ``submit`` is StartApplication, a savepoint is a snapshot with a name and no path, and
figures come from CloudWatch. So nothing here speaks of folders, ports or Flink's own client.
tests/support/cluster_contract.py is what every implementation has to pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tillstream.cluster import restoring
from tillstream.errors import Problem, Problems

ENDED = frozenset({"FINISHED", "CANCELED", "FAILED"})
Say = Callable[[str], None]


def silent(line: str) -> None:
    """The ``progress`` of those who want none."""


class JobError(Problem):
    """The job does not run; the message holds the innermost cause."""

    def lines(self) -> list[str]:
        remedy = restoring.advice(self.message)
        return super().lines() + ([f"what to do: {remedy}"] if remedy else [])


class NotReady(Problems, JobError):
    """Something the job needs is missing; ``problems`` has a line for each, with its fix."""


@dataclass(frozen=True)
class JobRun:
    """One run of a job. ``state`` in Flink's words, ENDED are final. ``parallelism``: of its widest part,
    0 while that is not known. ``started_ms``: UTC."""

    job_id: str
    name: str
    state: str
    started_ms: int
    parallelism: int = 0

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True)
class TakenSavepoint:
    """``location`` is what ``submit`` goes on from: a URI, or whatever names it on that cluster.
    ``triggered_ms``: when the barrier left the sources; both times UTC."""

    location: str
    run: JobRun
    triggered_ms: int
    completed_ms: int
    flink_version: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """The last one that a run has completed."""

    duration_ms: int
    state_bytes: int


@dataclass(frozen=True)
class Checkpoints:
    """How many a run has completed since it was submitted, the last one, and how many failed."""

    completed: int
    last: Checkpoint | None = None
    failed: int = 0


@dataclass(frozen=True)
class SourceFigures:
    """Of all sources of a run together. ``read``: records so far. ``waiting``: records in the stream
    that are not read. ``behind_ms``: age of what was read last. None where a source does not say."""

    state: str
    read: int
    waiting: int | None
    behind_ms: int | None


class Cluster(Protocol):
    """``name_or_id`` is a job's name or a run's id. Every call raises Unreachable while the cluster does
    not answer, and JobError for a job that does not run where it has to."""

    @property
    def savepoints_at(self) -> str:
        """URI under which each job has a folder for its savepoints' manifests, and where the cluster
        writes savepoints as files, for these too."""
        ...

    @property
    def notes_at(self) -> str:
        """URI of the folder for what is under way, such as a replay."""
        ...

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
        """Starts the job, waits until all of it runs, returns the run's id.

        ``overrides`` is a nested dict over conf/. ``start_from``: a savepoint's location, or ``latest``,
        ``latest-savepoint``, ``latest-checkpoint``; None starts without state. Without a
        ``parallelism`` the job gets the one that ``start_from`` had, or conf's.
        ``allow_dropped_state``: state of an operator that is gone may be lost. ``accept_loss``: goes on
        where the streams begin now if they no longer hold what follows ``start_from``; what is lost is
        said and noted. Otherwise that is NotReady, a line for each partition or shard. ``counted_again``: a
        job that sums may start from a state that is not its last one, else that is NotReady too.
        Raises NotReady before anything is started, JobError with the innermost cause after.
        """
        ...

    def runs(self) -> list[JobRun]:
        """Every run the cluster remembers, newest first; ``parallelism`` may be 0."""
        ...

    def run(self, job_id: str) -> JobRun:
        """That run, ended or not."""
        ...

    def started_from(self, job_id: str) -> str | None:
        """What ``locate`` made of the savepoint or checkpoint that the run was submitted from, None if
        of none."""
        ...

    def running(self, name_or_id: str) -> JobRun | None:
        """The newest run that has not ended, None if there is none."""
        ...

    def submitted(self) -> list[str]:
        """Names of all jobs that were ever submitted here, by name."""
        ...

    def lost(self) -> list[str]:
        """Jobs that nobody has stopped or cancelled and that do not run: the cluster itself was lost."""
        ...

    def stop(self, name_or_id: str, into: str | None = None, drain: bool = False) -> TakenSavepoint:
        """Stops with a savepoint, and returns once the run has ended.

        ``into``: where to put it, on a cluster that lets one choose. ``drain``: fire all timers first,
        for a job that never comes back.
        """
        ...

    def cancel(self, name_or_id: str) -> str:
        """Ends a run without a savepoint and returns its id; its last checkpoint stays."""
        ...

    # -- state -------------------------------------------------------------------------------------

    def savepoint(self, name_or_id: str) -> TakenSavepoint:
        """Takes a savepoint of a job that runs on."""
        ...

    def locate(self, name: str, start_from: str) -> str:
        """Location of a savepoint or checkpoint: one already, or one of the words ``latest...``.
        Raises JobError if there is none."""
        ...

    def discard(self, location: str) -> None:
        """Lets go of what the cluster itself keeps of a savepoint; its folder is the caller's."""
        ...

    def last_checkpoint(self, job_id: str) -> str | None:
        """Where a run that is gone can go on from: its last complete checkpoint, None if it left none."""
        ...

    def checkpoint(self, job_id: str) -> None:
        """Returns once a checkpoint is complete that began after this call."""
        ...

    def checkpoints(self, job_id: str) -> Checkpoints: ...

    # -- how it goes -------------------------------------------------------------------------------

    def figures(self, job_id: str) -> SourceFigures:
        """What the engine's metrics say now; the first look may find none."""
        ...

    def exceptions(self, job_id: str, since_ms: int = 0) -> list[str]:
        """Stack traces of the run's failures since then (ms UTC), newest first."""
        ...

    def logs(self, lines: int = 100) -> list[str]:
        """The last lines that the cluster's processes have logged, oldest first."""
        ...
