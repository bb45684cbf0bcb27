"""Where accepted records are until they are safe, all under the forwarder's lock.

incoming ─► direct ─► in flight ─► safe
              └──────────┴──► to keep ─► being kept ─► safe
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

from tillstream.clients.retry import Keyed
from tillstream.till.spool import SpoolFull


class Record:
    """One on its way. refused: why the stream can never take it."""

    __slots__ = ("key", "raw", "refused", "ticket")

    def __init__(self, key: str, raw: bytes, ticket: Ticket) -> None:
        self.key, self.raw, self.ticket, self.refused = key, raw, ticket, ""


class Ticket:
    """What one caller handed over together."""

    def __init__(self, records: Sequence[Keyed]) -> None:
        self.records = [Record(key, raw, self) for key, raw in records]
        self._open = len(self.records)
        self._unsafe: set[int] = set()  # by id(): records may be equal
        self._why = ""
        self._error: BaseException | None = None
        self._done = threading.Event()
        if not self.records:
            self._done.set()

    def wait(self) -> None:
        """Returns once all are safe. Raises SpoolFull, or what ended the forwarder."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        if self._unsafe:
            left = [(one.key, one.raw) for one in self.records if id(one) in self._unsafe]
            raise SpoolFull(self._why, left)

    def settle(self, record: Record, why_not: str = "") -> bool:
        """Whether that was the last of them."""
        if why_not:
            self._unsafe.add(id(record))
            self._why = why_not
        self._open -= 1
        if not self._open:
            self._done.set()
        return not self._open

    def failed(self, error: BaseException) -> None:
        self._error = error
        self._done.set()


class Queues:
    """hasten: what is accepted is kept, not tried first."""

    def __init__(self) -> None:
        self.incoming: list[Record] = []
        self.to_keep: list[Record] = []
        self.hasten = False
        self._direct: deque[Record] = deque()
        self._in_direct: Counter[str] = Counter()  # records of a key in there
        self._flying: dict[str, float] = {}  # key: since when
        self._kept: Counter[str] = Counter()  # records of a key to be kept, or being so
        self._being_kept = 0
        self._open: set[Ticket] = set()

    @property
    def unsafe(self) -> int:
        waiting = len(self.incoming) + len(self.to_keep) + len(self._direct)
        return waiting + len(self._flying) + self._being_kept

    def come(self, ticket: Ticket) -> None:
        if ticket.records:
            self._open.add(ticket)
            self.incoming.extend(ticket.records)

    def take_incoming(self) -> list[Record]:
        taken, self.incoming = self.incoming, []
        return taken

    def is_direct(self, key: str) -> bool:
        return key in self._flying or key in self._in_direct

    def is_kept(self, key: str) -> bool:
        return key in self._kept

    def direct(self, one: Record) -> None:
        self._direct.append(one)
        self._in_direct[one.key] += 1

    def keep(self, one: Record) -> None:
        self.to_keep.append(one)
        if not one.refused:  # it is in nobody's way
            self._kept[one.key] += 1

    def keep_with_followers(self, one: Record) -> None:
        """A record that failed, and all of its key that wait behind it."""
        self.keep(one)
        if not one.refused and one.key in self._in_direct:
            self._move(lambda key: key == one.key)

    def divert(self) -> None:
        """All that wait, but behind one in flight."""
        if self._direct:
            self._move(lambda key: key not in self._flying)

    def _move(self, chosen: Callable[[str], bool]) -> None:
        stay: deque[Record] = deque()
        for one in self._direct:
            if chosen(one.key):
                self._left_direct(one)
                self.keep(one)
            else:
                stay.append(one)
        self._direct = stay

    def _left_direct(self, one: Record) -> None:
        self._in_direct[one.key] -= 1
        if not self._in_direct[one.key]:
            del self._in_direct[one.key]

    def take_to_keep(self) -> list[Record]:
        taken, self.to_keep = self.to_keep, []
        self._being_kept += len(taken)
        return taken

    def next_batch(self, records: int, size: int) -> list[Record]:
        """The next request: each key once and none that is in flight, oldest first."""
        batch: list[Record] = []
        rest: deque[Record] = deque()
        passed: set[str] = set()
        now = time.monotonic()
        while self._direct and len(batch) < records:
            one = self._direct.popleft()
            length = len(one.key) + len(one.raw)
            if one.key in passed or one.key in self._flying or (batch and length > size):
                rest.append(one)
                passed.add(one.key)
                continue
            size -= length
            batch.append(one)
            self._left_direct(one)
            self._flying[one.key] = now
        rest.extend(self._direct)
        self._direct = rest
        return batch

    def landed(self, key: str) -> None:
        del self._flying[key]

    def oldest_flight(self, now: float) -> float:
        """Since when the request that is longest under way is; ``now`` without one."""
        return min(self._flying.values(), default=now)

    def delivered(self, one: Record) -> None:
        self._settled(one, "")

    def kept(self, one: Record, why_not: str = "") -> None:
        """It is on the disk, or could not be put there."""
        self._being_kept -= 1
        if not one.refused:
            self._kept[one.key] -= 1
            if not self._kept[one.key]:
                del self._kept[one.key]
        self._settled(one, why_not)

    def _settled(self, one: Record, why_not: str) -> None:
        if one.ticket.settle(one, why_not):
            self._open.discard(one.ticket)

    def fail_all(self, error: BaseException) -> None:
        """Nobody waits any longer: nothing more is made safe."""
        for ticket in self._open:
            ticket.failed(error)
        self._open.clear()
        self.incoming, self.to_keep, self._being_kept = [], [], 0
        self._direct.clear()
        self._in_direct.clear()
