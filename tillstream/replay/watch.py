"""How far a job is behind, and how fast it catches up, as the engine's own figures tell."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from tillstream.clients.flink import FlinkRest, FlinkRestError

CAUGHT_UP_MS = 10_000
WINDOW_S = 15.0


@dataclass(frozen=True)
class Progress:
    """``read``: records so far. ``behind_ms``: age of what was read last; None while unknown.
    ``waiting``: records in the stream that are not read, None where the source does not say."""

    read: int
    per_second: float
    behind_ms: int | None
    waiting: int | None
    state: str

    @property
    def caught_up(self) -> bool:
        if self.waiting == 0:
            return True
        return self.behind_ms is not None and self.behind_ms <= CAUGHT_UP_MS

    def line(self) -> str:
        """One line for a person."""
        if self.state != "RUNNING":
            return f"the job is {self.state.lower()}"
        parts = [f"{self.read:,} read, {self.per_second:,.0f}/s"]
        if self.behind_ms is not None:
            parts.append(f"{_span(self.behind_ms / 1000)} behind")
        if self.waiting is not None:
            parts.append(f"{self.waiting:,} waiting")
            if self.waiting and self.per_second > 0:
                parts.append(f"read by {_clock(self.waiting / self.per_second)}")
        return ", ".join(parts)


class Watch:
    """Of one job; ``look`` is called every second or so."""

    def __init__(self, flink: FlinkRest, job_id: str) -> None:
        self._flink, self._job_id = flink, job_id
        self._seen: deque[tuple[float, int]] = deque()
        self._names: dict[str, list[str]] = {}

    def look(self) -> Progress:
        """Raises FlinkRestError when the cluster does not answer."""
        job = self._flink.job(self._job_id)
        sources = [v for v in job["vertices"] if v["name"].startswith("Source:")]
        read = sum(int(v["metrics"]["write-records"]) for v in sources)
        waiting: int | None = None
        behind: int | None = None
        for vertex in sources:
            found = self._figures(vertex["id"])
            if found.get("pendingRecords") is not None:
                waiting = (waiting or 0) + int(found["pendingRecords"])
            for name in ("currentEmitEventTimeLag", "millisBehindLatest"):
                if found.get(name) is not None and found[name] >= 0:
                    behind = max(behind or 0, int(found[name]))
        now = time.monotonic()
        self._seen.append((now, read))
        while now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        then, before = self._seen[0]
        rate = max(0.0, (read - before) / (now - then)) if now - then > 0.5 else 0.0
        return Progress(read, rate, behind, waiting, job["state"])

    def _figures(self, vertex: str) -> dict[str, float]:
        """Sum over subtasks of what waits, the largest of what tells an age."""
        if not self._names.get(vertex):
            wanted = (".pendingRecords", ".currentEmitEventTimeLag", ".millisBehindLatest")
            names = self._flink.metric_names(self._job_id, vertex)
            self._names[vertex] = [name for name in names if name.endswith(wanted)]
        out: dict[str, float] = {}
        if not self._names[vertex]:
            return out
        try:
            rows: list[Any] = self._flink.metric_rows(self._job_id, vertex, self._names[vertex])
        except FlinkRestError:
            return out
        for row in rows:
            name = row["id"].rpartition(".")[2]
            if name == "pendingRecords":
                out[name] = out.get(name, 0) + float(row["sum"])
            else:
                out[name] = max(out.get(name, -1), float(row["max"]))
        return out


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%SZ", time.gmtime(time.time() + seconds))
