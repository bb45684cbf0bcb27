"""Puts archived transactions back: from Parquet on S3 to a Kafka topic of their own, in order.

Each record is what the front door wrote, byte for byte, with the time at which the broker first took it and
the place it first had, so that a job cannot tell it from the stream's own. Within a partition they come in
the order in which they first stood there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tillstream.catalog import tables
from tillstream.clients import parquet
from tillstream.clients.delivery import Writer, open_producer
from tillstream.clients.kafka import client_settings
from tillstream.clients.storage import S3Folder, open_bucket
from tillstream.cluster.protocol import JobError
from tillstream.conf import Conf
from tillstream.history.files import CLOCKS_MS, File, finished
from tillstream.replay.coverage import Row, Survey, in_order, lies_in, places_of
from tillstream.replay.stream_reach import Gap, stream_of

DELIVERY_S = 60
_encode = msgspec.json.Encoder().encode


class BackfillError(JobError):
    """The archive cannot fill the gap; the message says why."""


def survey(conf: Conf, gap: Gap) -> Survey:
    """What the archive has of the gap. Files that were finished before its first record can have
    arrived are opened only if something is missing without them."""
    found, bucket = Survey(gap, stream_of(conf)), open_bucket(conf)
    since_ms = gap.from_ms - CLOCKS_MS
    _look(found, conf, bucket, lambda file: file.finished_ms >= since_ms)
    if since_ms > 0 and found.missing():
        # A till's clock dates records on some brokers: the time is a hint, the offsets are not.
        _look(found, conf, bucket, lambda file: file.finished_ms < since_ms)
    return found


def _look(found: Survey, conf: Conf, bucket: S3Folder, chosen: Callable[[File], bool]) -> None:
    def columns(prefix: str, *names: str) -> Iterator[tuple[str, list[list[Any]]]]:
        for file in filter(chosen, finished(bucket, prefix, 0)):
            table = parquet.table(bucket.get(file.key), names)
            yield file.key, [table[name].to_pylist() for name in names]

    for key, (places, times) in columns(conf.prefix(tables.ARCHIVE), "place", "taken_ms"):
        found.archived(key, zip(places, times, strict=True))
    for _, (origins,) in columns(conf.prefix(tables.ARCHIVE_SKIPPED), "origin"):
        for origin in origins:
            found.accounted(origin)
    letters = columns(conf.prefix(tables.DEAD_LETTERS), "origin", "job", "stage")
    for _, (origins, jobs, stages) in letters:
        for origin, job, stage in zip(origins, jobs, stages, strict=True):
            # What failed there otherwise than by the contract another job may have taken.
            if (job, stage) == ("archive", "validate"):
                found.accounted(origin)


def fill(conf: Conf, found: Survey, topic: str, progress: Callable[[int], None]) -> int:
    """Writes what the archive has of the gap to ``topic``; returns how many transactions.

    ``progress`` gets the number so far. Raises BackfillError.
    """
    bucket = open_bucket(conf)
    own = {"compression.type": "lz4", "linger.ms": 20, "delivery.timeout.ms": DELIVERY_S * 1000}
    writer = Writer(open_producer(client_settings(conf) | own), topic)
    written = 0
    for row in in_order(found.pieces, lambda key: rows(bucket.get(key), found)):
        first = [
            ("tillstream.origin", row.origin.encode()),
            ("tillstream.arrived.ms", str(row.taken_ms).encode()),
        ]
        writer.send(row.key, row.raw, timestamp=row.taken_ms, headers=first)
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


def rows(body: bytes, found: Survey) -> Iterator[Row]:
    """Transactions of one Parquet file that lie in the gap."""
    for batch in parquet.batches(body):
        for record in batch.to_pylist():
            taken_ms, origin = record.pop("taken_ms"), record.pop("place")
            at = places_of(origin, found.stream)
            if at is not None and lies_in(found.gap, at[:2]):
                identity, key = record["transaction_id"], record["key"] or ""
                yield Row(at[:2], key, as_written(record), taken_ms, origin, identity)


def as_written(record: dict[str, Any]) -> bytes:
    """The front door's JSON: a column that is null was a field that was not there. Columns have the order of
    the fields, so the bytes are the same, and so is the id of a dead letter of them."""
    return _encode(_said(record))


def _said(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _said(one) for name, one in value.items() if one is not None}
    return [_said(one) for one in value] if isinstance(value, list) else value
