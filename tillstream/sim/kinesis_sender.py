"""Puts records into a Kinesis stream in batches, each partition key's records in order.

PutRecords may refuse some records of a batch and promises no order within one. So a batch holds each
partition key once at most, all of a key's records go through one thread, and a thread has one batch
under way: a record that has to be put again never falls behind a later one of its key.
"""

from __future__ import annotations

import threading
import time
import zlib
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from tillstream.clients import kinesis
from tillstream.clients.kinesis import BATCH_BYTES, BATCH_RECORDS
from tillstream.conf import Conf
from tillstream.sim.senders import SendError, Spool

QUEUED = 4000  # records that wait per thread before send() waits
LINGER_SECONDS = 0.05
THREADS = 4
Item = tuple[str, bytes]


class KinesisSender:
    """``send`` hands a record to its key's thread; ``close`` waits for all of them."""

    def __init__(self, conf: Conf, spool: Path, client: Any = None) -> None:
        self.stream = conf.source.kinesis.stream
        self._spool = Spool(spool)
        self._client = client or kinesis.open_stream(conf)
        self._error: BaseException | None = None
        self._queues: list[Queue[Item | None]] = [Queue(QUEUED) for _ in range(THREADS)]
        self._threads = [
            threading.Thread(target=self._work, args=(q,), name=f"kinesis-put-{n}", daemon=True)
            for n, q in enumerate(self._queues)
        ]
        for thread in self._threads:
            thread.start()

    def send(self, key: str, raw: bytes) -> None:
        if self._error is not None:
            raise SendError(f"a put thread ended: {self._error}") from self._error
        self._queues[zlib.crc32(key.encode()) % len(self._queues)].put((key, raw))

    def close(self) -> int:
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()
        return self._spool.count

    def _work(self, queue: Queue[Item | None]) -> None:
        waiting: list[Item] = []
        batch: list[Item] = []
        spooled: set[str] = set()  # later records of such a key follow it, to stay in order
        open_ = True
        try:
            while open_ or waiting:
                if open_:
                    open_ = _fill(queue, waiting)
                batch, waiting = _next_batch(waiting)
                ready = [item for item in batch if item[0] not in spooled]
                kept = [item for item in batch if item[0] in spooled]
                receipts = kinesis.put(self._client, self.stream, ready)
                kept += [item for item, to in zip(ready, receipts, strict=True) if to.error]
                for key, raw in kept:
                    spooled.add(key)
                    self._spool.keep(key, raw)
        except BaseException as error:
            self._error = error
            self._drain(queue, batch + waiting)

    def _drain(self, queue: Queue[Item | None], waiting: list[Item]) -> None:
        """After a fault of this thread: what it still holds goes to the spool, so none is lost."""
        for key, raw in waiting:
            self._spool.keep(key, raw)
        while (item := queue.get()) is not None:
            self._spool.keep(*item)


def _fill(queue: Queue[Item | None], waiting: list[Item]) -> bool:
    """Takes what is queued, waiting a moment for more; False once the queue is closed."""
    until = time.monotonic() + LINGER_SECONDS
    while len(waiting) < 2 * BATCH_RECORDS:
        try:
            item = queue.get(timeout=max(until - time.monotonic(), 0))
        except Empty:
            if waiting:
                return True
            item = queue.get()
            until = time.monotonic() + LINGER_SECONDS
        if item is None:
            return False
        waiting.append(item)
    return True


def _next_batch(waiting: list[Item]) -> tuple[list[Item], list[Item]]:
    """The next batch, each key once, and the rest in order."""
    batch: list[Item] = []
    rest: list[Item] = []
    keys: set[str] = set()
    size = 0
    for item in waiting:
        key, raw = item
        length = len(key) + len(raw)
        if key in keys or len(batch) == BATCH_RECORDS or (batch and size + length > BATCH_BYTES):
            rest.append(item)
        else:
            batch.append(item)
            size += length
        keys.add(key)
    return batch, rest
