"""Runs of a job on the service, which forgets them: one object per job in the bucket of code."""

from __future__ import annotations

import msgspec

from tillstream import catalog
from tillstream.cli.times import shown
from tillstream.clients.storage import S3Folder
from tillstream.deploy.journal import FOLDER
from tillstream.deploy.service import ServiceError

MOST = 100  # runs that are remembered
STOPPED, CANCELLED, LOST = "stopped", "cancelled", "lost"
Properties = dict[str, dict[str, str]]


class Run(msgspec.Struct):
    """``restored``: name of a snapshot, None without. ``ended``: "" while it is not known to be over.
    ``left``: the snapshot that its stop has left. ``base``: the application's properties without those that
    were given for this run alone; None where none were."""

    id: str
    started_ms: int
    parallelism: int
    restored: str | None
    ended: str = ""
    ended_ms: int = 0
    left: str = ""
    base: Properties | None = None


class Runs:
    """Of one job. A change is made to what is there now, so two who write do not lose each other's."""

    def __init__(self, storage: S3Folder, job: str, application: str) -> None:
        self._storage, self.application = storage, application
        self._name = f"{FOLDER}/{job}/runs.json"

    def all(self) -> list[Run]:
        """Newest first."""
        return self._read()[0]

    def last(self) -> Run | None:
        return next(iter(self.all()), None)

    def begun(
        self,
        started_ms: int,
        parallelism: int,
        restored: str | None,
        base: Properties | None = None,
    ) -> Run:
        """Notes a run; one of that time that is noted already is left as it is."""
        made = Run(f"{self.application}-{started_ms}", started_ms, parallelism, restored, base=base)

        def change(runs: list[Run]) -> list[Run]:
            known = any(one.id == made.id for one in runs)
            return runs if known else [made, *runs][:MOST]

        self._change(change)
        return made

    def ended(self, how: str, at_ms: int, left: str = "") -> None:
        """Of the last one, unless it has ended already."""

        def change(runs: list[Run]) -> list[Run]:
            if runs and not runs[0].ended:
                runs[0].ended, runs[0].ended_ms, runs[0].left = how, at_ms, left
            return runs

        self._change(change)

    def _read(self) -> tuple[list[Run], str | None]:
        found = self._storage.tagged(self._name)
        if found is None:
            return [], None
        return msgspec.json.decode(found[0], type=list[Run]), found[1]

    def _change(self, change: object) -> None:
        assert callable(change)
        for _ in range(10):
            runs, tag = self._read()
            before = msgspec.json.encode(runs)
            after = msgspec.json.encode(change(runs))
            if after == before or self._storage.swap(self._name, after, tag):
                return
        raise ServiceError(f"{self._name} is being written by others all the time: try again")


def sums_again(job: str, snapshot: str | None) -> str:
    """Of a job that sums, to whoever would start it from there, None: from nothing."""
    if snapshot is None:
        return (
            f"{job} has added up before, and no snapshot is left: started anew it adds all of that up again, "
            f"which nothing undoes: `tillstream deploy apply {job} --counted-again` if that is meant"
        )
    return (
        f"{job} has added up since snapshot {snapshot}, and started from there it adds that up again, which "
        f"nothing undoes: `tillstream deploy restore {job} --from {snapshot} --counted-again` "
        "if that is better than to stand still"
    )


def rows_again(job: str, since_ms: int, until_ms: int) -> str:
    """Of any other job, once it runs from there. ``since_ms``: of the state; ``until_ms``: of the start."""
    histories = catalog.job(job).set_aside
    if not histories:
        return f"{job} makes again what it has made since {shown(since_ms)}"
    return (
        f"{job} makes again what it has made since {shown(since_ms)}. Rows on S3 are there twice: once it "
        f"has caught up, `tillstream history settle {job} --since '{shown(since_ms)}' --until "
        f"'{shown(until_ms)}'` sets the earlier ones aside"
    )
