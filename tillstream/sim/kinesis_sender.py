"""Simulated records to Kinesis as a store sends them: by the library of `tillstream till`.

What the stream does not take waits in a spool beside the truth and goes once it is back. What still waits at
the end is written to the spool file, for `tillstream sim --from-spool`.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections import deque
from pathlib import Path
from typing import Any

import msgspec

from tillstream.clients import kinesis
from tillstream.conf import Conf
from tillstream.sim.senders import SendError, Spool
from tillstream.till import layout
from tillstream.till.forwarder import Forwarder
from tillstream.till.queues import Ticket
from tillstream.till.spool import Limits, SpoolFull
from tillstream.till.spool import Spool as Waiting
from tillstream.till.targets import KinesisTarget

LANES = 4
QUEUED = 4000  # records on their way before send() waits
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
        self._tickets: deque[Ticket] = deque()

    def send(self, key: str, raw: bytes) -> None:
        """Waits while too many are on their way. Raises SendError where an earlier one is not safe."""
        while len(self._tickets) >= QUEUED:
            if not self._settled():
                time.sleep(0.001)
        self._settled()
        self._tickets.append(self._forwarder.submit([(key, raw)]))

    def close(self) -> int:
        try:
            while self._tickets:
                self._wait(self._tickets.popleft())
        finally:
            left = self._forwarder.close(DRAIN_S)
            self._held.close()
        if left:
            self._write_down()
        shutil.rmtree(self._folder)
        return self._file.count

    def _settled(self) -> bool:
        """Whether room came free."""
        before = len(self._tickets)
        while self._tickets and self._tickets[0].settled:
            self._wait(self._tickets.popleft())
        return len(self._tickets) < before

    def _wait(self, ticket: Ticket) -> None:
        try:
            ticket.wait()
        except SpoolFull as full:
            raise SendError(f"records were not sent: {full.message}") from None

    def _write_down(self) -> None:
        """What waits, in its order, to the spool file."""
        waiting = Waiting(self._folder, Limits(1, 1, 0))
        for key, raw in waiting.all_waiting():
            self._file.keep(key, raw)
        waiting.close()
