"""A record that could not be used: why, where it came from, and its bytes, so it can be redriven."""

from __future__ import annotations

import base64
from hashlib import sha256

import msgspec

from tillstream.domain.envelope import Envelope
from tillstream.domain.personal.personal_data import mask_personal_data

MOST_TEXT = 1000  # characters of a message
MOST_RAW = 8 << 20  # as Json.java: JSON with more in base64 is not read by Flink 2.x
MOST_BYTES = 900_000  # on Kafka: a broker takes 1 MiB unless told otherwise


class DeadLetter(msgspec.Struct, gc=False):
    """One dead letter. The same bytes of the same record refused twice are one dead letter: its id is
    the record's origin and, as several may come of one record, a hash of its bytes.

    raw_b64: its bytes in base64, anything in free text that is like a card number masked, and each address of
    e-mail and international telephone number; of more than MOST_RAW the first, and the message says so.
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


def _masked(message: str) -> str:
    """A message may quote what it refuses."""
    raw = message.encode("utf-8", "surrogatepass")
    return mask_personal_data(raw).decode("utf-8", "surrogatepass")


_encoder = msgspec.json.Encoder()


def dead_letter(
    envelope: Envelope, job: str, stage: str, reason: str, message: str, version: int, now_ms: int
) -> bytes:
    """A dead letter as JSON bytes. ``stage`` is ``validate`` or ``apply``."""
    raw = envelope.raw if envelope.typed else mask_personal_data(envelope.raw)
    origin = envelope.origin
    cut = f" (its first bytes of {len(raw)})" if len(raw) > MOST_RAW else ""
    letter = DeadLetter(
        dead_letter_id=id_of(origin, raw),
        job=job,
        stage=stage,
        reason=reason,
        message=_masked(message)[:MOST_TEXT] + cut,
        raw_b64=base64.b64encode(raw[:MOST_RAW]).decode("ascii"),
        origin=origin,
        schema_version=version,
        failed_at_ms=now_ms,
    )
    return _encoder.encode(letter)


def id_of(origin: str, raw: bytes) -> str:
    """Of the dead letter of ``raw``: records that a Kinesis producer aggregates share an origin, as
    those do that came as one record. What has no place in a stream has a name of its own."""
    if not origin.startswith(("kafka:", "kinesis:")):
        return origin
    return f"{origin}#{sha256(raw).hexdigest()[:8]}"


def kafka_record(letter: bytes) -> tuple[str, bytes, list[tuple[str, str | bytes | None]]]:
    """Key, value and headers of a dead letter (JSON bytes) as DeadLetterRecords.java writes them."""
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
    value = base64.b64decode(found.raw_b64)
    if len(value) > MOST_BYTES:
        headers["tillstream.left.out.bytes"], value = str(len(value)), b""
    return found.dead_letter_id, value, list(headers.items())
