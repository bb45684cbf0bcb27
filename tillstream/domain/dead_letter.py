"""A record that could not be used: why, where it came from, and its bytes, so it can be redriven."""

from __future__ import annotations

import base64

import msgspec

from tillstream.domain.card_numbers import mask_card_numbers
from tillstream.domain.envelope import Envelope


class DeadLetter(msgspec.Struct, gc=False):
    """One dead letter. Its id is its origin: the same record refused twice is one dead letter.

    raw_b64: the record's bytes in base64, anything like a card number masked.
    failed_at_ms: ms since epoch, UTC.
    """

    dead_letter_id: str
    job: str
    stage: str
    reason: str
    message: str
    raw_b64: str
    origin: str
    schema_version: int
    failed_at_ms: int


_encoder = msgspec.json.Encoder()


def dead_letter(
    envelope: Envelope, job: str, stage: str, reason: str, message: str, version: int, now_ms: int
) -> bytes:
    """A dead letter as JSON bytes. ``stage`` is ``validate`` or ``apply``."""
    raw = base64.b64encode(mask_card_numbers(envelope.raw)).decode("ascii")
    origin = envelope.origin
    return _encoder.encode(
        DeadLetter(origin, job, stage, reason, message, raw, origin, version, now_ms)
    )


def kafka_record(letter: bytes) -> tuple[bytes, dict[str, str]]:
    """Value and headers of a dead letter (JSON bytes) as the jobs write them to the topic."""
    found = msgspec.json.decode(letter, type=DeadLetter)
    place, _, offset = found.origin.rpartition("/")
    topic, _, partition = place.partition(":")[2].rpartition("/")
    headers = {
        "__connect.errors.topic": topic,
        "__connect.errors.partition": partition,
        "__connect.errors.offset": offset,
        "__connect.errors.connector.name": found.job,
        "__connect.errors.task.id": "0",
        "__connect.errors.stage": found.stage,
        "__connect.errors.class.name": found.stage,
        "__connect.errors.exception.class.name": found.reason,
        "__connect.errors.exception.message": found.message,
        "tillstream.origin": found.origin,
        "tillstream.reason": found.reason,
        "tillstream.schema.version": str(found.schema_version),
        "tillstream.failed.at.ms": str(found.failed_at_ms),
    }
    return base64.b64decode(found.raw_b64), headers
