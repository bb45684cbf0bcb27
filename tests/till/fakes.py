"""Streams that take, refuse, half take and forget to answer, as a test says."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from tillstream.clients.retry import Keyed, Receipt
from tillstream.till.spool import Limits, Spool

SETTINGS: dict[str, Any] = {
    "lanes": 1, "batch_records": 500, "answer_ms": 5000, "direct_ms": 2000, "backoff_first_ms": 5,
    "backoff_max_ms": 40, "warn_percent": 80, "record_bytes": 8_388_608,
    "request_bytes": 16_777_216,
}  # fmt: skip
ROOMY = Limits(1_000_000, 1_000_000_000, 0)


def settings(**changed: Any) -> Any:
    """The section `till`, without what takes long."""
    return SimpleNamespace(**(SETTINGS | changed))


class FakeTarget:
    """``taken`` in the order of arrival. ``outcome(key, raw)``: taken, refused, final, or lost: taken without
    an answer. away: answers nothing and takes nothing."""

    name = "fake:tills"

    def __init__(self, outcome: Callable[[str, bytes], str] = lambda key, raw: "taken") -> None:
        self.outcome, self.away = outcome, False
        self.taken: list[Keyed] = []
        self.requests: list[list[Keyed]] = []
        self.doubtful: Counter[Keyed] = Counter()  # taken without an answer
        self.largest = 1_000_000
        self.lock = threading.Lock()

    def never(self, key: str, raw: bytes) -> str:
        return "too large" if len(raw) > self.largest else ""

    def put(self, batch: Sequence[Keyed]) -> list[Receipt]:
        with self.lock:
            self.requests.append(list(batch))
            if self.away:
                return [Receipt(None, "EndpointConnectionError")] * len(batch)
            return [self._one(key, raw) for key, raw in batch]

    def _one(self, key: str, raw: bytes) -> Receipt:
        outcome = self.outcome(key, raw)
        if outcome in ("taken", "lost"):
            self.taken.append((key, raw))
        if outcome == "taken":
            return Receipt(f"fake:tills/0/{len(self.taken)}", None)
        if outcome == "lost":
            self.doubtful[key, raw] += 1
        return Receipt(None, outcome, outcome == "final")

    def of(self, key: str) -> list[bytes]:
        return [raw for one, raw in self.taken if one == key]

    def close(self) -> None: ...


def open_spool(folder: Any, limits: Limits = ROOMY, free: int = 10**12) -> Spool:
    return Spool(folder, limits, lambda _: free)
