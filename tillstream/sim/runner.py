"""Sends a simulator's records at a steady pace and writes the truth, until done or told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tillstream.sim.senders import HOUSEHOLDS, Sender
from tillstream.sim.simulator import Sent
from tillstream.sim.truth import TruthWriter

TICK_SECONDS = 0.01


@dataclass(frozen=True)
class Outcome:
    """``sent`` counts the records handed to the sender, ``spooled`` those kept in its spool file."""

    sent: int
    spooled: int
    seconds: float
    stopped: bool


def run(
    records: Iterable[Sent],
    sender: Sender,
    truth: TruthWriter | None,
    *,
    sides: Mapping[str, Sender] | None = None,
    settle_seconds: float = 0.0,
    rate: float | None = None,
    seconds: float | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Sends ``records`` at ``rate`` a second (None: as fast as may be) for ``seconds`` at most.

    What is of another stream than the tills' goes to the one of ``sides``. settle_seconds: a wait after the
    last event of a household, for the job to know it before the first sale. Setting ``stop`` ends
    it between two records, so the truth is exactly what was handed over. The senders are closed in any case.
    """
    stop = stop or threading.Event()
    begun = time.monotonic()
    sides, before = sides or {}, ""
    count = spooled = 0
    stopped = False
    try:
        for sent in records:
            if rate is not None and count >= (time.monotonic() - begun) * rate:
                while not stop.is_set() and count >= (time.monotonic() - begun) * rate:
                    time.sleep(min(TICK_SECONDS, 1 / rate))
            if count & 63 == 0 or rate is not None:
                if stop.is_set():
                    stopped = True
                    break
                if seconds is not None and time.monotonic() - begun >= seconds:
                    break
                if progress is not None and count % 256 == 0:
                    progress(count)
            # sent first: a record the sender refuses outright is not part of the truth
            if before == HOUSEHOLDS != sent.stream:
                stop.wait(settle_seconds)
                begun += settle_seconds
            before = sent.stream
            to = sides.get(sent.stream, sender)
            to.send(sent.key, sent.raw)
            if truth is not None:
                truth.write(sent)
            count += 1
    finally:
        spooled = sender.close() + sum(side.close() for side in sides.values())
        if truth is not None:
            truth.note["spooled"] = spooled
            truth.close()
    if progress is not None:
        progress(count)
    return Outcome(count, spooled, time.monotonic() - begun, stopped)
