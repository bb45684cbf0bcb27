"""Starts what has died of a stack's Flink cluster, as Amazon's service does: its jobs go on by themselves.

A process of the stack: `up` starts it, `down` ends it, `tillstream logs supervisor` shows what it did.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from tillstream.local.stack import Stack

EVERY_S = 1.0
PAUSE_S = 5.0  # after a start: what dies at once is not started without end


def run(stack: Stack, sleep: Callable[[float], None] = time.sleep) -> None:
    """Until the stack has another supervisor, or none."""
    with stack.lock():  # an `up` that lets go of it has written down whom it has started
        pass
    while stack.pid("supervisor") == os.getpid():
        sleep(EVERY_S)
        try:
            started = stack.revive()
        except Exception as error:  # such as a full disk: it is tried again
            started = [f"nothing ({error})"]
        if started:
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
            print(f"{at} UTC: had died, started again: {', '.join(started)}", flush=True)
            sleep(PAUSE_S)


if __name__ == "__main__":
    run(Stack(sys.argv[1]))
