"""What a till sent, found again by the transaction's id or by its place in the raw stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow.compute as pc

from tillstream.catalog.resources import History
from tillstream.catalog.tables import ARCHIVE, RAW_RECORDS
from tillstream.clients import parquet
from tillstream.clients.storage import S3Folder, of_days
from tillstream.conf import Conf

COLUMNS = ("record_id", "origin", "arrived_ms", "transaction_id", "raw")


class Found(NamedTuple):
    """A raw record; ``arrived_ms`` is the broker's."""

    origin: str
    arrived_ms: int
    raw: bytes


def find(conf: Conf, bucket: S3Folder, what: str, day: str = "") -> Iterator[Found]:
    """The raw records of ``what``: an origin (``kinesis:stream/shard/number``), or a transaction id.

    The archive knows the origin of a transaction. What the archive does not have is found if a till sent it
    itself; another maker's document says no id. ``day`` (YYYY-MM-DD, UTC): of arrival, or for a transaction
    of its end; without it every file is opened.
    """
    if what.startswith(("kafka:", "kinesis:")):
        yield from _of_place(conf, bucket, what, day)
        return
    places = set()
    for row in _rows(
        conf, bucket, ARCHIVE, day, "transaction_id", what, ("origin", "arrived_ms")
    ):  # fmt: skip
        arrived = datetime.fromtimestamp(row["arrived_ms"] / 1000, UTC)
        places.add((row["origin"], f"{arrived:%Y-%m-%d}"))
    for origin, arrival in sorted(places):
        yield from _of_place(conf, bucket, origin, arrival, what)
    if not places:
        yield from _once(_rows(conf, bucket, RAW_RECORDS, day, "transaction_id", what, COLUMNS))


def _of_place(
    conf: Conf, bucket: S3Folder, origin: str, day: str, transaction: str | None = None
) -> Iterator[Found]:
    """Records that a producer aggregates share an origin; a document of many says no transaction."""
    rows = _rows(conf, bucket, RAW_RECORDS, day, "origin", origin, COLUMNS)
    both = (None, transaction)
    yield from _once(row for row in rows if transaction is None or row["transaction_id"] in both)


def _once(rows: Iterable[dict[str, Any]]) -> Iterator[Found]:
    """What intake wrote again after a crash is told once."""
    seen = set()
    for row in rows:
        if row["record_id"] not in seen:
            seen.add(row["record_id"])
            yield Found(row["origin"], row["arrived_ms"], row["raw"])


def _rows(
    conf: Conf,
    bucket: S3Folder,
    history: History,
    day: str,
    column: str,
    value: str,
    columns: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """Of the rows with ``value`` in ``column`` the ``columns``."""
    for _, file in of_days(bucket, conf.prefix(history), day, day):
        rows = parquet.table(bucket.get(file.name), {*columns, column})
        yield from rows.filter(pc.equal(rows[column], value)).to_pylist()
