"""The process: what comes in by folder, input and endpoint goes to one forwarder, until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from tillstream.errors import Problem

if TYPE_CHECKING:
    from tillstream.till.forwarder import Forwarder

LOOK_S = 0.2


class Intake(Protocol):
    def run(self, stop: threading.Event) -> None:
        """Until ``stop`` is set, or nothing more can come."""
        ...


def serve(
    forwarder: Forwarder,
    intakes: Sequence[Intake],
    stop: threading.Event,
    *,
    until_empty: bool = False,
    drain_s: float = 0.0,
    every: Callable[[], None] = lambda: None,
) -> int:
    """Until ``stop``, or until all intakes have ended; without any, for ever. How many records then wait in
    the spool. until_empty: also ends once nothing waits, in the spool or to be made safe. drain_s: how long
    it goes on delivering at the end. every: is called five times a second. Raises what ended an intake or
    the forwarder, once all that was accepted is safe as far as that can be."""
    ended: list[BaseException] = []
    own_stop = threading.Event()

    def run(intake: Intake) -> None:
        try:
            intake.run(own_stop)
        except BaseException as error:
            ended.append(error)

    threads = [threading.Thread(target=run, args=(one,), daemon=True) for one in intakes]
    for thread in threads:
        thread.start()
    while not (stop.wait(LOOK_S) or ended or forwarder.fatal()):
        every()
        if threads and not any(thread.is_alive() for thread in threads):
            break
        if until_empty and not threads and not forwarder.spool.sums.waiting:
            break
    own_stop.set()
    for thread in threads:
        thread.join()
    left = forwarder.close(drain_s)
    if fatal := forwarder.fatal():
        ended.insert(0, fatal)
    if ended:
        raise (
            ended[0] if isinstance(ended[0], Problem) else RuntimeError("the forwarder failed")
        ) from ended[0]
    return left
