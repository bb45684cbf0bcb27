"""Whether a run starts on a Flink cluster, and why not."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from tillstream.clients.flink import TERMINAL, FlinkRest, root_cause
from tillstream.clients.wait import NotInTime, wait_until
from tillstream.cluster.protocol import JobError
from tillstream.errors import Unreachable

FAILURES_TOLERATED = 2
SETTLED_S = 1.5  # a job that fails on its first records runs for a moment too


class Startup:
    """A run from its submission until all its tasks run and stay so, or it fails.

    Waiting for a slot, as after a TaskManager's death, is not held against the job. ``timeout_s``
    is how long no further task may start; the time in which one reads its state does not count.
    """

    def __init__(
        self,
        flink: FlinkRest,
        job_id: str,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._flink, self._job_id, self._timeout_s, self._clock = flink, job_id, timeout_s, clock
        self._began_ms = time.time_ns() // 1_000_000
        self._since: float | None = None
        self._started = 0
        self._progress_at = clock()
        self._failed = 0
        self.name, self.cause = job_id, "nothing is known of it"

    def is_over(self) -> bool:
        """Whether the run has come so far. Raises JobError when it fails or keeps restarting."""
        job = self._flink.job(self._job_id)
        states = [vertex["status"] for vertex in job["vertices"]]
        tasks, now = set(states), self._clock()
        started = sum(state in ("RUNNING", "FINISHED") for state in states)
        if started > self._started or "INITIALIZING" in tasks:
            self._started, self._progress_at = max(started, self._started), now
        failures = [
            trace
            for trace in self._flink.exceptions(self._job_id, self._began_ms)
            if "NoResourceAvailableException" not in trace
        ]
        self.name = job["name"]
        self.cause = (
            root_cause(failures[0]) if failures else f"its tasks are {', '.join(sorted(tasks))}"
        )
        if job["state"] in TERMINAL - {"FINISHED"}:
            failures = failures or self._flink.exceptions(self._job_id)
            cause = root_cause(failures[0]) if failures else "no cause given"
            raise JobError(f"job {self.name} {job['state'].lower()}: {cause}")
        if len(failures) > FAILURES_TOLERATED:
            raise JobError(
                f"job {self.name} keeps restarting: {self.cause}\n"
                f"it still tries; `tillstream job cancel {self._job_id}` ends it"
            )
        if now - self._progress_at > self._timeout_s:
            raise JobError(
                f"job {self.name} does not run: no further task started for {self._timeout_s:.0f} s: "
                f"{self.cause}\n`tillstream status` shows slots and processes"
            )
        if job["state"] != "RUNNING" or not tasks <= {"RUNNING", "FINISHED"}:
            self._since = None
        elif self._since is None or len(failures) > self._failed:
            self._since = now
        self._failed = len(failures)
        settled = self._since is not None and now - self._since > SETTLED_S
        return settled or job["state"] == "FINISHED"


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


def await_slots(
    flink: FlinkRest, to_come: Callable[[], int], needed: int, timeout_s: float = 30.0
) -> None:
    """Waits for slots that no job holds any more, e.g. of a JobManager that was killed. ``to_come``: how many
    there are once all TaskManagers are back."""

    def free() -> bool:
        held = any(found["state"] not in TERMINAL for found in flink.jobs())
        return flink.overview()["slots-available"] >= needed or held or to_come() < needed

    with suppress(Unreachable, NotInTime):  # the checks that follow say it in full
        wait_until(free, timeout_s, f"{needed} slots are not free", every_s=0.25)
