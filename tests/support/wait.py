"""Waiting for a fact. No test waits for a fixed time where it can wait for this."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
SHOWN = 1_000  # characters of the last value in a failure


def wait_for(
    look: Callable[[], T],
    timeout_s: float,
    what: str,
    until: Callable[[T], object] = bool,
    every_s: float = 0.2,
) -> T:
    """The first value of ``look`` that ``until`` accepts; AssertionError with the last one seen after
    ``timeout_s``. ``what``: completes "waited in vain for ..."."""
    deadline = time.monotonic() + timeout_s
    while not until(seen := look()):
        if time.monotonic() > deadline:
            last = repr(seen)[:SHOWN]
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}; last seen: {last}")
        time.sleep(every_s)
    return seen
