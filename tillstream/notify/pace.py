"""Rate limits: tokens that come at a steady pace, up to one second's worth kept for a burst."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """``per_second`` tokens; safe to use from many threads."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        if per_second <= 0:
            raise ValueError("notify.per_second must be above 0")
        self._rate, self._clock = per_second, clock
        self._most = max(1.0, per_second)
        self._tokens, self._at = self._most, clock()
        self._lock = threading.Lock()

    def take(self) -> float:
        """Takes a token; the seconds to wait until it is there."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
            self._at = now
            self._tokens -= 1
            return max(0.0, -self._tokens / self._rate)

    def give_back(self) -> None:
        """A token that was taken and not used."""
        with self._lock:
            self._tokens = min(self._most, self._tokens + 1)
