"""What was submitted to a stack's cluster and how it ended: in a file, for a JobManager that dies forgets."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from tillstream import catalog
from tillstream import conf as settings
from tillstream.cluster.protocol import JobRun
from tillstream.conf import Conf


class Submissions:
    """A line of JSON for each submission (name, job_id, time_ms, from, parallelism, of the front door what
    it reads) and for each end (name, job_id, time_ms, ended, savepoint)."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def note(self, name: str, job_id: str, **more: Any) -> None:
        entry = {"name": name, "job_id": job_id, "time_ms": time.time_ns() // 1_000_000, **more}
        with self._file.open("a") as file:
            file.write("\n" + json.dumps(entry))

    def note_ended(self, runs: list[JobRun]) -> None:
        """Notes those that ended by themselves or from Flink's web page."""
        over = [run for run in runs if run.state in ("FINISHED", "CANCELED")]
        noted = {entry["job_id"]: "ended" in entry for entry in self._lines()} if over else {}
        for run in over:
            if noted.get(run.job_id) is False:  # submitted here, and nothing since
                self.note(run.name, run.job_id, ended=run.state)

    def all(self) -> list[dict[str, Any]]:
        """Every submission, oldest first; lines of 0.1.0 have no parallelism."""
        return [entry for entry in self._lines() if "from" in entry]

    def names(self) -> list[str]:
        return sorted({entry["name"] for entry in self.all()})

    def started_from(self, job_id: str) -> str | None:
        return next((entry["from"] for entry in self.all() if entry["job_id"] == job_id), None)

    def parallelism_of(self, location: str) -> int | None:
        """Of the run that left what is there."""
        # A checkpoint lies in a folder of its run's id, a savepoint's name has the first six digits.
        for entry in reversed(self.all()):
            job_id = entry["job_id"]
            if f"/{job_id}/" in location or f"/savepoint-{job_id[:6]}-" in location:
                return entry.get("parallelism")
        return None

    def read_by(self, name: str) -> str | None:
        """The stream that the job's last submission reads, as `Source.stream`. None if nothing says so, or if
        that run has ended: the next one may read another."""
        over = {entry["job_id"] for entry in self._lines() if "ended" in entry}
        runs = [entry for entry in self.all() if entry["name"] == name]
        return runs[-1].get("reads") if runs and runs[-1]["job_id"] not in over else None

    def stopped_with(self, name: str) -> tuple[int, str] | None:
        """(ms, location) of the savepoint that the job's last stop left."""
        found = [e for e in self._lines() if e["name"] == name and "savepoint" in e]
        return (found[-1]["time_ms"], found[-1]["savepoint"]) if found else None

    def lost(self, known: list[JobRun]) -> list[str]:
        """Jobs of which none runs, whose last run is neither ``known`` to the cluster nor noted as ended."""
        over = {run.job_id for run in known} | {e["job_id"] for e in self._lines() if "ended" in e}
        running = {run.name for run in known if not run.ended}
        # What 0.1.0 noted says not which jobs ended: none of those is taken for lost.
        last = {e["name"]: e["job_id"] for e in self.all() if "parallelism" in e}
        return sorted(name for name, run in last.items() if run not in over and name not in running)

    def _lines(self) -> list[dict[str, Any]]:
        found = []
        text = self._file.read_text(errors="replace") if self._file.exists() else ""
        for line in text.splitlines():
            with contextlib.suppress(
                ValueError, LookupError, TypeError
            ):  # cut short by a full disk
                entry = json.loads(line)
                if entry["name"] and entry["job_id"] and entry["time_ms"]:
                    found.append(entry)
        return found


def read_by_the_door(conf: Conf) -> str | None:
    """The stream that the front door reads, whatever ``conf`` says: a submission may have said otherwise.
    None where that is not known, as on Amazon's service."""
    if not conf.local:
        return None
    return Submissions(settings.stack_file().parent / "jobs.jsonl").read_by(catalog.DOOR)


def not_read(conf: Conf, stream: str) -> str:
    """That the front door reads another stream than ``stream``, with the fix; "" if that is not so."""
    reads = read_by_the_door(conf)
    if reads is None or reads == stream:
        return ""
    kind, _, name = reads.partition(":")
    own = conf.source.kafka.topic if kind == "kafka" else conf.source.kinesis.stream
    named = "kafka.topic" if kind == "kafka" else "kinesis.stream"
    more = "" if name == own else f" --conf source.{named}={name}"
    return (
        f"{catalog.DOOR} was submitted to read {reads}, so nothing reads {stream}: give --conf "
        f"source.kind={kind}{more}"
    )
