"""Where dead letters are read: the Kafka topic up to its end of now, or Parquet on S3."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from tillstream.catalog import tables, topics
from tillstream.clients import parquet
from tillstream.clients.storage import of_days, open_bucket
from tillstream.clients.whole_topic import read_whole
from tillstream.conf import Conf
from tillstream.dead_letters.model import Failure, Marker, Sighting

REDRIVEN_AT = "tillstream.redriven.at.ms"
REDRIVEN_BY = "tillstream.redriven.by"
REDRIVEN_TO = "tillstream.redriven.to"
LEFT_OUT = "tillstream.left.out.bytes"

# What S3 tells of a failure.
ON_S3 = ("job", "stage", "reason", "message", "schema_version", "failed_at_ms")

Wanted = Callable[[str], bool]


def everything(dead_letter_id: str) -> bool:
    return True


def of_message(
    key: bytes | None,
    headers: Any,
    value: bytes | None,
    timestamp_ms: int,
    keep_raw: bool = True,
) -> Sighting | Marker | None:
    """One Kafka record, its headers as (name, bytes) pairs.

    None when it is no dead letter: no id, or neither a job nor a mark.
    """
    texts = {name: (text or b"").decode("utf-8", "replace") for name, text in headers or ()}
    dead_letter_id = key.decode("utf-8", "replace") if key else texts.get("tillstream.origin", "")
    if not dead_letter_id:
        return None
    if REDRIVEN_AT in texts:
        at_ms = _number(texts[REDRIVEN_AT], timestamp_ms)
        to = texts.get(REDRIVEN_TO) or None
        return Marker(dead_letter_id, at_ms, texts.get(REDRIVEN_BY, "unknown"), to)
    job = texts.get("__connect.errors.connector.name")
    if not job:
        return None
    raw: bytes | None = value or b""
    size = _number(texts.get(LEFT_OUT, ""), len(value or b""))
    if not keep_raw or LEFT_OUT in texts:
        raw = None
    failure = Failure(
        job=job,
        stage=texts.get("__connect.errors.stage", ""),
        reason=texts.get("tillstream.reason", "unknown"),
        message=texts.get("__connect.errors.exception.message", ""),
        schema_version=_number(texts.get("tillstream.schema.version", ""), 0),
        failed_at_ms=_number(texts.get("tillstream.failed.at.ms", ""), timestamp_ms),
        task_id=texts.get("__connect.errors.task.id"),
        exception=texts.get("__connect.errors.exception.class.name"),
    )
    return Sighting(dead_letter_id, raw, size, failure)


def _number(text: str, otherwise: int) -> int:
    try:
        return int(text)
    except ValueError:
        return otherwise


def from_kafka(
    conf: Conf, wanted: Wanted = everything, keep_raw: bool = True
) -> Iterator[Sighting | Marker]:
    """All of the topic, from its beginning to where it ended when the reading began."""
    for message in read_whole(conf, "dlq", conf.topic(topics.DEAD_LETTERS)):
        one = of_message(
            message.key(), message.headers(), message.value(), message.timestamp()[1], keep_raw
        )
        # All marks: they say how often a record has died.
        if isinstance(one, Marker) or (one is not None and wanted(one.dead_letter_id)):
            yield one


def from_s3(
    conf: Conf, wanted: Wanted = everything, keep_raw: bool = True, since_ms: int | None = None
) -> Iterator[Sighting]:
    """All Parquet files under the dead letters' prefix; days before ``since_ms`` are not opened.

    There are no redriven marks on S3: those are on the topic alone.
    """
    bucket, prefix = open_bucket(conf), conf.prefix(tables.DEAD_LETTERS)
    first = "" if since_ms is None else f"{datetime.fromtimestamp(since_ms / 1000, UTC):%Y-%m-%d}"
    for _, file in of_days(bucket, prefix, first):
        yield from _rows(bucket.get(file.name), wanted, keep_raw)


def _rows(body: bytes, wanted: Wanted, keep_raw: bool) -> Iterator[Sighting]:
    for batch in parquet.batches(body):
        for row in batch.to_pylist():
            if not wanted(row["dead_letter_id"]):
                continue
            raw = base64.b64decode(row["raw_b64"])
            failure = Failure(**{name: row[name] for name in ON_S3})
            yield Sighting(row["dead_letter_id"], raw if keep_raw else None, len(raw), failure)
