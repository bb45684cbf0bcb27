"""How long to wait after a failure: doubled each time, up to a maximum, and spread at random.

After an outage thousands of stores come back at once: without the spread they would come in step.
"""

from __future__ import annotations

from random import Random


class Backoff:
    """``failures`` in a row lead to waits of half to all of first_s, 2 first_s, 4 first_s, ... most_s."""

    def __init__(self, first_s: float, most_s: float, random: Random | None = None) -> None:
        self._first_s, self._most_s = first_s, max(first_s, most_s)
        self._random = random or Random()

    def wait_s(self, failures: int) -> float:
        """After the ``failures``-th failure in a row, counted from 1."""
        whole = min(self._first_s * 2 ** min(failures - 1, 40), self._most_s)
        return float(whole * self._random.uniform(0.5, 1))
