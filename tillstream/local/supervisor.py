"""Starts what has died of a stack's Flink cluster, as Amazon's service does: its jobs go on by themselves.

A JobManager can live without ever leading again: where ZooKeeper is back within a few milliseconds of the
end of its session, Curator's latch takes no part in the next election (Flink 1.20.5). It is ended then, and
started like one that died.

A process of the stack: `up` starts it, `down` ends it, `tillstream logs supervisor` shows what it did.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import urlopen

from tillstream.local.services import is_cluster
from tillstream.local.stack import Stack

EVERY_S = 1.0
PAUSE_S = 5.0  # after a failure, and between two starts of one process
LEADERLESS_S = 40.0  # an election takes some seconds, and as long as ZooKeeper is away
ASKED_EVERY_S = 5.0
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


class Leaderless:
    """For how long the JobManager has answered that none of it leads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked = self._since = float("-inf")

    def too_long(self, leads: Callable[[], bool]) -> bool:
        """Asks ``leads`` now and then; whether it has been False for LEADERLESS_S without a break."""
        now = self._clock()
        if now < self._asked + ASKED_EVERY_S:
            return False
        self._asked = now
        if leads():
            self._since = float("-inf")
            return False
        if self._since == float("-inf"):
            self._since = now
        if now < self._since + LEADERLESS_S:
            return False
        self._since = float("-inf")
        return True


def leads(rest: str) -> bool:
    """Whether the JobManager behind ``rest`` leads. One that does not answer is not said to be without a
    leader: it starts, is frozen, or has died."""
    try:
        with urlopen(f"{rest}/jobs/overview", timeout=2):
            return True
    except HTTPError as error:
        return b"leader election" not in error.read(4_000)
    except (OSError, ValueError, HTTPException):
        return True


def run(stack: Stack, sleep: Callable[[float], object] = wait) -> None:
    """Until the stack has another supervisor, or none."""
    with stack.lock():  # an `up` that lets go of it has written down whom it has started
        pass
    pauses, leaderless = Pauses(), Leaderless()
    while stack.pid("supervisor") == os.getpid():
        sleep(EVERY_S)
        try:
            if leaderless.too_long(lambda: leads(stack.layout.read()["flink"]["rest"])):
                _tell(f"the JobManager leads nothing for {LEADERLESS_S:.0f} s: it is ended")
                if pid := stack.pid("jobmanager"):
                    os.kill(pid, signal.SIGKILL)
            started = stack.revive(pauses.may_start)
        except Exception as error:  # such as a full disk: it is tried again
            _tell(f"had died, started again: nothing ({error})")
            sleep(PAUSE_S)
            continue
        for name in started:
            pauses.started(name)
        if started:
            _tell(f"had died, started again: {', '.join(started)}")


def _tell(what: str) -> None:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    with contextlib.suppress(OSError):  # of a full disk
        print(f"{at} UTC: {what}", flush=True)


if __name__ == "__main__":
    run(Stack(sys.argv[1]))
