"""Puts archived transactions back: from Parquet on S3 to a Kafka topic of their own, in order.

Each record is what the till sent, with the time it first arrived and the origin it first had, so that
a job cannot tell it from the stream's own. Within a partition (or shard) they come in the order in
which they first stood there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from tillstream.catalog import tables
from tillstream.clients import parquet
from tillstream.clients.delivery import Writer, open_producer
from tillstream.clients.kafka import client_settings
from tillstream.clients.storage import open_bucket
from tillstream.cluster.protocol import JobError
from tillstream.conf import Conf
from tillstream.history.files import CLOCKS_MS, File, finished
from tillstream.replay.stream_reach import Gap

SETTLE_MS = 60_000  # files of one checkpoint are finished within so long of each other
DELIVERY_S = 60

Place = tuple[str, int]  # partition or shard, offset or sequence number


class Row(NamedTuple):
    """One archived transaction. ``raw`` is its JSON as the contract has it."""

    place: Place
    key: str
    raw: bytes
    arrived_ms: int
    origin: str


class BackfillError(JobError):
    """The archive cannot fill the gap; the message says why."""


def fill(
    conf: Conf, gap: Gap, taken_at_ms: int, topic: str, progress: Callable[[int], None]
) -> int:
    """Writes what the archive has of ``gap`` to ``topic``; returns how many transactions.

    ``progress`` gets the number so far. Raises BackfillError.
    """
    bucket, prefix = open_bucket(conf), conf.prefix(tables.ARCHIVE)
    own = {"compression.type": "lz4", "linger.ms": 20, "delivery.timeout.ms": DELIVERY_S * 1000}
    writer = Writer(open_producer(client_settings(conf) | own), topic)
    written = 0
    read = (
        (file, list(rows(bucket.get(file.key), gap)))
        for file in finished(bucket, prefix, taken_at_ms - CLOCKS_MS)
    )
    for row in in_order(read):
        first = [
            ("tillstream.origin", row.origin.encode()),
            ("tillstream.arrived.ms", str(row.arrived_ms).encode()),
        ]
        writer.send(row.key, row.raw, timestamp=row.arrived_ms, headers=first)
        written += 1
        if written % 1000 == 0:
            progress(written)
        if writer.problem:
            break
    if problem := writer.flush(DELIVERY_S):
        raise BackfillError(
            f"Kafka did not take all of the archive's transactions ({problem}): try again"
        )
    progress(written)
    return written


def rows(body: bytes, gap: Gap) -> Iterator[Row]:
    """Transactions of one Parquet file that lie in the gap."""
    for batch in parquet.batches(body):
        for record in batch.to_pylist():
            arrived_ms, origin = record.pop("arrived_ms"), record.pop("origin")
            place = place_of(origin)
            if place is not None and lies_in(gap, place, arrived_ms):
                yield Row(place, key_of(record), as_sent(record), arrived_ms, origin)


def place_of(origin: str) -> Place | None:
    """Partition and offset, or shard and sequence number, of an origin; None if it has none."""
    stream, _, position = origin.rpartition("/")
    _, _, part = stream.rpartition("/")
    return (part, int(position)) if part and position.isdigit() else None


def lies_in(gap: Gap, place: Place, arrived_ms: int) -> bool:
    if gap.offsets:
        first, end = gap.offsets.get(int(place[0]), (0, 0)) if place[0].isdigit() else (0, 0)
        return first <= place[1] < end
    return gap.from_ms <= arrived_ms < gap.to_ms


def key_of(record: dict[str, Any]) -> str:
    """What tills key their records by."""
    return record.get("customer_id") or record["transaction_id"]


def as_sent(record: dict[str, Any]) -> bytes:
    """The contract's JSON: a column that is null was a field that was not there."""
    return orjson.dumps({name: value for name, value in record.items() if value is not None})


def in_order(read: Iterable[tuple[File, list[Row]]]) -> Iterator[Row]:
    """Rows of files, oldest file first, so that each partition's come by offset.

    Files of one checkpoint hold one stretch of each partition, in pieces by date, region and subtask.
    A row is let go once a whole ``SETTLE_MS`` of files after its own was read, so a piece that was
    finished a little later still finds its place. Memory: the rows of that stretch.
    """
    waiting: dict[str, list[tuple[int, Row]]] = defaultdict(list)
    for file, found in read:
        yield from _let_go(waiting, file.finished_ms - SETTLE_MS)
        for row in found:
            waiting[row.place[0]].append((file.finished_ms, row))
    yield from _let_go(waiting, None)


def _let_go(waiting: dict[str, list[tuple[int, Row]]], before_ms: int | None) -> Iterator[Row]:
    """All rows, or of each partition those below whatever files as young as that hold of it."""
    for part in sorted(waiting):
        held = waiting[part]
        if before_ms is None:
            bound = None
        elif held[0][0] >= before_ms:
            continue  # appended by age: none is old enough
        else:
            bound = min((row.place[1] for at, row in held if at >= before_ms), default=None)
        free = [row for _, row in held if bound is None or row.place[1] < bound]
        waiting[part] = [one for one in held if bound is not None and one[1].place[1] >= bound]
        yield from sorted(free, key=lambda row: row.place[1])
