"""How far a job is behind, and how fast it catches up, as the engine's own figures tell."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from tillstream.cluster.protocol import Cluster

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

    def __init__(self, cluster: Cluster, job_id: str) -> None:
        self._cluster, self._job_id = cluster, job_id
        self._seen: deque[tuple[float, int]] = deque()

    def look(self) -> Progress:
        """Raises Unreachable when the cluster does not answer."""
        found = self._cluster.figures(self._job_id)
        now = time.monotonic()
        self._seen.append((now, found.read))
        while now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        then, before = self._seen[0]
        rate = max(0.0, (found.read - before) / (now - then)) if now - then > 0.5 else 0.0
        return Progress(found.read, rate, found.behind_ms, found.waiting, found.state)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%SZ", time.gmtime(time.time() + seconds))
