"""Simulated records to Kinesis as a store sends them: by the library of `tillstream till`.

What the stream does not take waits in a spool beside the truth and goes once it is back. What still waits at
the end is written to the spool file, for `tillstream sim --from-spool`.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections import deque
from pathlib import Path
from typing import Any

import msgspec

from tillstream.clients import kinesis
from tillstream.clients.retry import Keyed
from tillstream.conf import Conf
from tillstream.sim.senders import SendError, Spool
from tillstream.till import layout
from tillstream.till.forwarder import Forwarder
from tillstream.till.queues import Ticket
from tillstream.till.spool import Limits, SpoolFull
from tillstream.till.spool import Spool as Waiting
from tillstream.till.targets import KinesisTarget

LANES = 4
CHUNK = 100  # records handed over together
LINGER_S = 0.02  # or what came in so long
QUEUED = 80  # chunks on their way before send() waits
DRAIN_S = 10.0  # at the end, for what waits


class KinesisSender:
    """``send`` hands a record over; ``close`` waits until each is delivered or in the spool file."""

    def __init__(self, conf: Conf, spool: Path, client: Any = None) -> None:
        target = KinesisTarget(conf, client or kinesis.open_stream(conf))
        self._file = Spool(spool)
        self._folder = spool.with_suffix(".waiting")
        self._held = contextlib.ExitStack()
        self._held.enter_context(layout.lock(self._folder))
        limits = Limits(conf.till.spool_records, conf.till.spool_bytes, 0)
        settings = msgspec.structs.replace(conf.till, lanes=LANES)
        self._forwarder = Forwarder(Waiting(self._folder, limits), target, settings)
        self._lock = threading.Lock()
        self._chunk: list[Keyed] = []
        self._tickets: deque[Ticket] = deque()
        self._closed = threading.Event()
        threading.Thread(target=self._hand_over_in_time, name="sim-linger", daemon=True).start()

    def send(self, key: str, raw: bytes) -> None:
        """Waits while too many are on their way. Raises SendError where an earlier one is not safe."""
        with self._lock:
            self._chunk.append((key, raw))
            if len(self._chunk) < CHUNK:
                return
            self._hand_over()
            late = self._tickets.popleft() if len(self._tickets) > QUEUED else None
        if late:
            _wait(late)

    def close(self) -> int:
        self._closed.set()
        try:
            with self._lock:
                self._hand_over()
                tickets, self._tickets = self._tickets, deque()
            for ticket in tickets:
                _wait(ticket)
        finally:
            left = self._forwarder.close(DRAIN_S)
            self._held.close()
        if left:
            self._write_down()
        shutil.rmtree(self._folder)
        return self._file.count

    def _hand_over_in_time(self) -> None:
        while not self._closed.wait(LINGER_S):
            with self._lock:
                if not self._closed.is_set():
                    self._hand_over()

    def _hand_over(self) -> None:
        if self._chunk:
            self._tickets.append(self._forwarder.submit(self._chunk))
            self._chunk = []

    def _write_down(self) -> None:
        """What waits, in its order, to the spool file."""
        waiting = Waiting(self._folder, Limits(1, 1, 0))
        for key, raw in waiting.all_waiting():
            self._file.keep(key, raw)
        waiting.close()


def _wait(ticket: Ticket) -> None:
    try:
        ticket.wait()
    except SpoolFull as full:
        raise SendError(f"records were not sent: {full.message}") from None
