"""Waiting for something to become true: one loop, and one message when it does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tillstream.errors import Problem

T = TypeVar("T")


class NotInTime(Problem):
    """What was waited for did not happen; the message says what it was."""


def wait_until(
    condition: Callable[[], T | None],
    timeout_s: float,
    what: str | Callable[[], str],
    every_s: float = 0.2,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Calls ``condition`` until it returns something true, and returns that.

    It is called at least once, then every ``every_s`` seconds. ``what`` is the sentence for when it
    does not happen ("topic t is not deleted"), or makes one. Raises NotInTime after ``timeout_s``,
    and at once whatever ``condition`` raises.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        if found := condition():
            return found
        if time.monotonic() >= deadline:
            said = what() if callable(what) else what
            raise NotInTime(f"{said} after {timeout_s:.0f} s")
        sleep(every_s)
