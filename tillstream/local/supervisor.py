"""Starts what has died of a stack's Flink cluster, as Amazon's service does: its jobs go on by themselves.

A process of the stack: `up` starts it, `down` ends it, `tillstream logs supervisor` shows what it did.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable

from tillstream.local.services import is_cluster
from tillstream.local.stack import Stack

EVERY_S = 1.0
PAUSE_S = 5.0  # after a failure, and between two starts of one process
LONGEST_S = 60.0  # to which that pause doubles each time the process dies within a minute after it

# Waits like time.sleep, which fails under libfaketime (and chaos has it under every process).
wait = threading.Event().wait


class Pauses:
    """What dies at once is started again ever more rarely."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[
            str, tuple[float, float]
        ] = {}  # by name: when its pause ends, how long it is

    def may_start(self, name: str) -> bool:
        return is_cluster(name) and self._clock() >= self._until.get(name, (0.0, 0.0))[0]

    def started(self, name: str) -> None:
        now = self._clock()
        until, pause = self._until.get(name, (-LONGEST_S, 0.0))
        pause = min(2 * pause, LONGEST_S) if now < until + LONGEST_S else PAUSE_S
        self._until[name] = now + pause, pause


def run(stack: Stack, sleep: Callable[[float], object] = wait) -> None:
    """Until the stack has another supervisor, or none."""
    with stack.lock():  # an `up` that lets go of it has written down whom it has started
        pass
    pauses = Pauses()
    while stack.pid("supervisor") == os.getpid():
        sleep(EVERY_S)
        try:
            started = stack.revive(pauses.may_start)
        except Exception as error:  # such as a full disk: it is tried again
            _tell(f"nothing ({error})")
            sleep(PAUSE_S)
            continue
        for name in started:
            pauses.started(name)
        if started:
            _tell(", ".join(started))


def _tell(started: str) -> None:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    with contextlib.suppress(OSError):  # of a full disk
        print(f"{at} UTC: had died, started again: {started}", flush=True)


if __name__ == "__main__":
    run(Stack(sys.argv[1]))
