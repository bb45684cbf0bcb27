"""The Flink cluster's REST interface, as far as the project uses it."""

from __future__ import annotations

import re
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tillstream.clients.wait import wait_until
from tillstream.errors import Unreachable

TERMINAL = frozenset({"FINISHED", "CANCELED", "FAILED"})


class FlinkRestError(Unreachable):
    """The cluster does not answer, or returns an error; the message says which request and why."""


class FlinkRest:
    """Client of one cluster. ``timeout_s`` bounds each request; what only asks is asked up to three times."""

    def __init__(self, url: str, timeout_s: float = 10.0) -> None:
        self.url = url.rstrip("/")
        self.timeout_s = timeout_s
        self._session = requests.Session()
        # A JobManager that is busy may let one question run out; a cluster that is down says so at once.
        again = Retry(connect=0, read=2, status=0, backoff_factor=0.2, allowed_methods=["GET"])
        self._session.mount("http", HTTPAdapter(max_retries=again))

    def overview(self) -> dict[str, Any]:
        """Counts of TaskManagers, slots and jobs."""
        return self._get("/overview")

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs the JobManager remembers: jid, name, state, start-time (ms), duration (ms)."""
        return self._get("/jobs/overview")["jobs"]

    def job(self, job_id: str) -> dict[str, Any]:
        """One job with its vertices."""
        return self._get(f"/jobs/{job_id}")

    def checkpoints(self, job_id: str) -> dict[str, Any]:
        """Counts, latest and history of a job's checkpoints."""
        return self._get(f"/jobs/{job_id}/checkpoints")

    def checkpoint(self, job_id: str, timeout_s: float = 120.0) -> None:
        """Takes one now, and returns once it is complete. Raises FlinkRestError if it fails."""
        self._operation(job_id, "checkpoints", {"checkpointType": "CONFIGURED"}, timeout_s)

    def exceptions(self, job_id: str, since_ms: int = 0) -> list[str]:
        """Stack traces of the job's failures since then (ms UTC), newest first."""
        answer = self._get(f"/jobs/{job_id}/exceptions?maxExceptions=10")
        entries = answer.get("exceptionHistory", {}).get("entries", [])
        traces = [e["stacktrace"] for e in entries if e["timestamp"] >= since_ms]
        root = answer.get("root-exception")
        return traces or ([root] if root and (answer.get("timestamp") or 0) >= since_ms else [])

    def taskmanagers(self) -> list[dict[str, Any]]:
        """Registered TaskManagers: id, slotsNumber, freeSlots, timeSinceLastHeartbeat (ms)."""
        return self._get("/taskmanagers")["taskmanagers"]

    def metric_rows(self, job_id: str, vertex_id: str, names: list[str]) -> list[dict[str, Any]]:
        """id, sum and max over the subtasks of one vertex."""
        path = f"/jobs/{job_id}/vertices/{vertex_id}/subtasks/metrics"
        return self._get(f"{path}?get={','.join(names)}&agg=sum,max")

    def metric_names(self, job_id: str, vertex_id: str) -> list[str]:
        """What ``metric_rows`` can be asked for."""
        path = f"/jobs/{job_id}/vertices/{vertex_id}/subtasks/metrics"
        return [metric["id"] for metric in self._get(path)]

    def cancel(self, job_id: str, timeout_s: float = 60.0) -> None:
        """Cancels a job and waits until it is gone; its last checkpoint is retained."""
        self._call("PATCH", f"/jobs/{job_id}?mode=cancel")
        wait_until(lambda: self._ended(job_id), timeout_s, f"job {job_id} is not cancelled")

    def savepoint(self, job_id: str, directory: str, timeout_s: float = 300.0) -> str:
        """Takes a savepoint of a job that runs on; returns its location."""
        body = {"target-directory": directory, "cancel-job": False}
        return str(self._operation(job_id, "savepoints", body, timeout_s)["location"])

    def stop_with_savepoint(
        self, job_id: str, directory: str, drain: bool = False, timeout_s: float = 300.0
    ) -> str:
        """Stops a job with a savepoint and returns its location.

        ``drain`` also fires all timers and emits what waits: only for a job that never comes back.
        """
        body = {"targetDirectory": directory, "drain": drain}
        location = str(self._operation(job_id, "stop", body, timeout_s)["location"])
        wait_until(
            lambda: self._ended(job_id),
            timeout_s,
            f"job {job_id} has its savepoint {location}, but is not stopped",
        )
        return location

    def _ended(self, job_id: str) -> bool:
        return self.job(job_id)["state"] in TERMINAL

    def _operation(
        self, job_id: str, verb: str, body: dict[str, Any], timeout_s: float
    ) -> dict[str, Any]:
        """What a savepoint or checkpoint led to, once it is complete."""
        trigger = self._call("POST", f"/jobs/{job_id}/{verb}", body)["request-id"]
        what = "checkpoint" if verb == "checkpoints" else "savepoint"

        def done() -> dict[str, Any] | None:
            answer = self._get(f"/jobs/{job_id}/{what}s/{trigger}")
            return answer if answer["status"]["id"] == "COMPLETED" else None

        answer = wait_until(done, timeout_s, f"{what} of job {job_id} is not complete")
        operation = answer.get("operation", {})
        if "failure-cause" in operation:
            cause = operation["failure-cause"].get("stack-trace", "no reason given")
            raise FlinkRestError(f"{what} of job {job_id} failed: {root_cause(cause)}")
        return operation

    def _get(self, path: str) -> Any:
        return self._call("GET", path)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            answer = self._session.request(
                method, self.url + path, json=body, timeout=self.timeout_s
            )
        except requests.RequestException as error:
            raise FlinkRestError(
                f"the Flink cluster at {self.url} does not answer ({type(error).__name__}): "
                "run `tillstream up`"
            ) from None
        if answer.status_code >= 400:
            try:
                errors = answer.json().get("errors", [answer.text])
            except ValueError:
                errors = [answer.text]
            raise FlinkRestError(f"{method} {path}: {root_cause(str(errors[0]))}")
        return answer.json() if answer.text else {}


_CAUSE = re.compile(r"^(?:Caused by: )?([\w.$]+(?:Exception|Error|Throwable)[\w$]*(?:: .*)?)$")


def root_cause(trace: str, python_lines: int = 6) -> str:
    """A JVM stack trace boiled down to its innermost cause, with the tail of a Python traceback.

    ``python_lines`` bounds how much of that traceback is shown.
    """
    lines = [line.rstrip() for line in trace.replace("\r", "").split("\n")]
    innermost = ""
    for line in lines:
        match = _CAUSE.match(line.strip())
        if match and (line.startswith("Caused by: ") or not innermost):
            innermost = match[1]
    python = [i for i, line in enumerate(lines) if "Traceback (most recent call last)" in line]
    tail: list[str] = []
    if python:
        for line in lines[python[-1] + 1 :]:
            if line.startswith(("\tat ", "Caused by:")) or not line.strip():
                break
            tail.append(line)
    else:
        # Embedded Python puts its frames among Java's: "at /path/file.py.name(file.py:12)".
        tail = [
            line.strip()
            for line in lines
            if re.search(r"\.py(?:\.|:\d+)", line) and "pyflink" not in line
        ]
    if not innermost:
        innermost = next((line.strip() for line in lines if line.strip()), "no cause given")
    return "\n  ".join([innermost, *(tail[-python_lines:] if python_lines else [])])
