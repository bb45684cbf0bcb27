"""Takes records and returns once each is safe: in the stream, or on the disk to get there later.

    accept ─► direct ──put at once, after 0.1, 0.2, 0.4 s──► the stream
                 │ not taken, or the stream is known to be away      ▲
                 └──► keeper: one commit for many ──► spool ── drain, oldest first, with back-off

A key's records go one at a time and in order: whatever follows one that is under way waits for it, and
whatever follows one in the spool goes there too. A lane is a thread with one request under way; one
lane at a time drains.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

from tillstream.clients import retry
from tillstream.clients.retry import Backoff, Keyed, Receipt
from tillstream.errors import Problem
from tillstream.till.progress import Progress
from tillstream.till.queues import Queues, Record, Ticket
from tillstream.till.spool import Spool, SpoolFull, Waiting
from tillstream.till.targets import BATCH_BYTES, Target

if TYPE_CHECKING:
    from tillstream.conf.till import Till

# Records that ask whether a stream that was away is back: so many may come twice each time.
PROBE = 10
IDLE_S = 0.5


class Closed(Problem):
    """The forwarder ends: it takes no more."""


class Forwarder:
    """Safe to use from many threads. ``close`` ends it; what is in the spool stays there."""

    def __init__(
        self,
        spool: Spool,
        target: Target,
        settings: Till,
        *,
        progress: Progress | None = None,
        random: Random | None = None,
    ) -> None:
        self.spool, self.target = spool, target
        self.progress = progress or Progress(target.name)
        self._settings = settings
        self._backoff = Backoff(
            settings.backoff_first_ms / 1000, settings.backoff_max_ms / 1000, random
        )
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # something changed
        self._queues = Queues()
        self._failures, self._retry_at = 0, 0.0  # of the stream as a whole, in a row
        self._held: dict[str, tuple[float, int]] = {}  # key: until, failures of its own
        self._nothing_until = 0.0  # the spool holds nothing to be drained but keys that are held
        self._gone: list[int] = []  # delivered, and still in the spool for want of room on its disk
        self._draining = self._closing = self._finishing = False
        self._fatal: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guarded(self._keep), name="till-keep", daemon=True)
        ]
        self._threads += [
            threading.Thread(target=self._guarded(self._lane), name=f"till-lane-{n}", daemon=True)
            for n in range(settings.lanes)
        ]
        for thread in self._threads:
            thread.start()

    # -- who sends ---------------------------------------------------------------------------------

    def accept(self, key: str, raw: bytes) -> None:
        """Returns once the record is safe. Raises as ``accept_many``."""
        self.accept_many([(key, raw)])

    def accept_many(self, records: Sequence[Keyed]) -> None:
        """Returns once all are safe: delivered, kept to be delivered, or set aside as what the stream never
        takes. Raises SpoolFull, whose ``left`` are the only ones that are not; Closed; SpoolDamaged."""
        self.submit(records).wait()

    def submit(self, records: Sequence[Keyed]) -> Ticket:
        """The same without waiting; ``Ticket.wait`` does. Raises Closed."""
        ticket = Ticket(records)
        with self._work:
            self._refuse_if_ended()
            if not self._queues.incoming:  # else the keeper is on its way
                self._work.notify_all()
            self._queues.come(ticket)
        return ticket

    def waiting(self) -> int:
        """Records accepted and not yet safe."""
        with self._lock:
            return self._queues.unsafe

    def close(self, drain_s: float = 0.0) -> int:
        """Makes safe what was accepted, delivers for ``drain_s`` seconds what is in the spool, and ends. How
        many records wait there."""
        until = time.monotonic() + drain_s
        with self._work:
            self._closing = True
            while self._fatal is None and (
                self._queues.unsafe or (self.spool.sums.waiting and time.monotonic() < until)
            ):
                self._queues.hasten = time.monotonic() >= until
                self._work.notify_all()
                self._work.wait(0.05)
            self._finishing = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join()
        self.target.close()
        left = self.spool.sums.waiting
        self.progress.write(now=True)
        self.spool.close()
        return left

    def fatal(self) -> BaseException | None:
        """Why it ended by itself."""
        return self._fatal

    def _refuse_if_ended(self) -> None:
        if isinstance(self._fatal, Problem):
            raise self._fatal
        if self._closing or self._fatal is not None:
            why = type(self._fatal).__name__ if self._fatal else "it was told to"
            raise Closed(f"the forwarder ends ({why}): send it again once it runs")

    # -- the keeper --------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Sorts what comes, and commits what has to be kept: all of it that came during the last commit."""
        while True:
            with self._work:
                while not (self._queues.incoming or self._queues.to_keep or self._finishing):
                    self._work.wait(IDLE_S)
                    self._divert()
                    self.progress.write()
                self._sort()
                self._divert()
                taken = self._queues.take_to_keep()
                if not taken and self._finishing:
                    return
                self._work.notify_all()
            self._commit(taken)
            self.progress.write()

    def _sort(self) -> None:
        queues, passable = self._queues, self._passable()
        for one in queues.take_incoming():
            one.refused = self.target.never(one.key, one.raw)
            if one.refused:
                queues.keep(one)
            elif queues.is_direct(one.key):
                queues.direct(one)  # behind its predecessors, wherever they end
            elif queues.is_kept(one.key) or not passable or self.spool.has(one.key):
                queues.keep(one)
            else:
                queues.direct(one)

    def _divert(self) -> None:
        """What waits for a stream that is away or slow goes to the spool."""
        if not self._passable():
            self._queues.divert()

    def _passable(self) -> bool:
        """Whether a record may be tried before it is kept."""
        now = time.monotonic()
        slow_s = self._settings.direct_ms / 1000
        if self._finishing or self._queues.hasten or now - self._queues.oldest_flight(now) > slow_s:
            return False
        return not self._failures or (now >= self._retry_at and not self.spool.sums.waiting)

    def _commit(self, taken: list[Record]) -> None:
        """All in one transaction; where there is no room, as many as there is room for, in their order."""
        while taken:
            kept = self._room(taken)
            try:
                self.spool.keep(
                    [(one.key, one.raw) for one in kept if not one.refused],
                    [(one.key, one.raw, one.refused) for one in kept if one.refused],
                )
                whole = len(kept) == len(taken)
                why = "" if whole else self.spool.full([(one.key, one.raw) for one in taken])
            except SpoolFull as full:
                kept, why = [], full.why
            except Problem as problem:
                if type(problem) is not Problem:  # damaged: nothing can be kept any more
                    raise
                kept, why = [], problem.message
            rest = taken[len(kept) :]
            with self._work:
                for one in kept:
                    self._queues.kept(one)
                for one in rest if why else ():
                    self._queues.kept(one, why)
                if any(one.key not in self._held for one in kept):
                    self._nothing_until = 0.0
                self._work.notify_all()
            if why:
                self.progress.failed(f"the spool takes no more: {why}")
                return
            taken = rest

    def _room(self, taken: list[Record]) -> list[Record]:
        """The longest beginning that fits, found by halves."""
        records = [(one.key, one.raw) for one in taken]
        if not self.spool.full(records):
            return taken
        fits, beyond = 0, len(taken)
        while beyond - fits > 1:
            middle = (fits + beyond) // 2
            fits, beyond = (
                (middle, beyond) if not self.spool.full(records[:middle]) else (fits, middle)
            )
        return taken[:fits]

    # -- a lane ------------------------------------------------------------------------------------

    def _lane(self) -> None:
        drains_next = False
        while True:
            with self._work:
                while True:
                    batch = [] if drains_next else self._next_direct()
                    drain = not batch and self._may_drain()
                    if not (batch or drain):
                        batch = self._next_direct()
                    if batch or drain:
                        break
                    if self._finishing:
                        return
                    self._work.wait(self._pause_s())
                self._draining |= drain
            if drain:
                drains_next = False
                self._drain()
            else:
                drains_next = True
                self._put_direct(batch)

    def _next_direct(self) -> list[Record]:
        return self._queues.next_batch(self._settings.batch_records, BATCH_BYTES)

    def _put_direct(self, batch: list[Record]) -> None:
        until = time.monotonic() + self._settings.direct_ms / 1000
        records = [(one.key, one.raw) for one in batch]
        receipts = retry.put_again(
            self._put, records, retry.RETRY_AFTER_S, until=lambda: time.monotonic() >= until
        )
        with self._work:
            self._judge(receipts, [one.key for one in batch])
            for one, receipt in zip(batch, receipts, strict=True):
                self._queues.landed(one.key)
                if receipt.error is None:
                    self._queues.delivered(one)
                else:
                    one.refused = receipt.error if receipt.final else ""
                    self._queues.keep_with_followers(one)
            self._divert()
            self._work.notify_all()

    def _put(self, records: Sequence[Keyed]) -> list[Receipt]:
        """One attempt. A fault of the client's counts as the stream's: its records stay safe."""
        try:
            return self.target.put(records)
        except Exception as error:
            return [Receipt(None, type(error).__name__)] * len(records)

    # -- the way out of the spool ------------------------------------------------------------------

    def _may_drain(self) -> bool:
        if self._draining or self._finishing or not self.spool.sums.waiting:
            return False
        return time.monotonic() >= self._drain_at()

    def _drain_at(self) -> float:
        """When the next batch of the spool may go: once the stream is tried again, and a key is not held."""
        return max(self._retry_at if self._failures else 0.0, self._nothing_until)

    def _pause_s(self) -> float:
        if self._draining or not self.spool.sums.waiting:
            return IDLE_S
        return min(max(self._drain_at() - time.monotonic(), 0.005), IDLE_S)

    def _drain(self) -> None:
        """One batch, by one lane at a time."""
        with self._lock:
            now = time.monotonic()
            held = {key for key, (until, _) in self._held.items() if until > now}
            most = PROBE if self._failures else self._settings.batch_records
        batch, receipts = self._drained(min(most, self._settings.batch_records), held)
        with self._work:
            self._draining = False
            if batch:
                self._judge(receipts, [one.key for one in batch])
            else:
                until = [until for until, _ in self._held.values()]
                self._nothing_until = min(until, default=time.monotonic() + IDLE_S)
            self._work.notify_all()

    def _drained(self, most: int, held: set[str]) -> tuple[list[Waiting], list[Receipt]]:
        """What was tried, and what became of it; nothing where the spool's disk has no room."""
        try:
            self.spool.settle(self._gone)
            self._gone = []
            batch = self.spool.oldest(most, BATCH_BYTES, held)
            receipts = self._put([(one.key, one.raw) for one in batch]) if batch else []
            sure = list(zip(batch, receipts, strict=True))
            self._gone = [one.seq for one, to in sure if to.error is None]
            refused = [(one.seq, to.error) for one, to in sure if to.error and to.final]
            if sure:
                self.spool.settle(self._gone, refused)
                self._gone = []
            if not self.spool.sums.waiting:
                self.spool.shrink()
        except Problem as problem:
            if type(problem) is not Problem:
                raise
            self.progress.failed(problem.message)
            return [], []
        return batch, receipts

    def _judge(self, receipts: Sequence[Receipt], keys: Sequence[str]) -> None:
        """What a request's outcome says of the stream and of its keys. Where nothing at all was taken the
        stream is away; keys that failed while others went through say nothing about it."""
        now = time.monotonic()
        self._nothing_until = 0.0
        failed = [
            (k, to.error) for k, to in zip(keys, receipts, strict=True) if to.error and not to.final
        ]
        for key, to in zip(keys, receipts, strict=True):
            if to.error is None or to.final:
                self._held.pop(key, None)
        if len(failed) < len(receipts):
            self._failures = 0
            self.progress.succeeded(sum(to.error is None for to in receipts), whole=not failed)
        elif any(key not in self._held for key, _ in failed):
            self._failures += 1
            self._retry_at = now + self._backoff.wait_s(self._failures)
        if failed:
            self.progress.failed(str(failed[0][1]))
        if self._failures:
            return
        for key, _ in failed:
            times = self._held.get(key, (0.0, 0))[1] + 1
            self._held[key] = (now + self._backoff.wait_s(times), times)

    def _guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        """A thread that ends by a fault takes all with it: nobody may believe that records are made safe."""

        def run() -> None:
            try:
                work()
            except BaseException as error:
                with self._work:
                    self._fatal = self._fatal or error
                    self._finishing = True
                    self._queues.fail_all(self._fatal)
                    self._work.notify_all()

        return run
