"""What a source hands to Python: one line saying where a record came from, then its raw bytes."""

from __future__ import annotations

import msgspec


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """origin: ``kafka:topic/partition/offset`` or ``kinesis:stream/shard/sequence``;
    arrived_ms: when the broker took it (ms since epoch, UTC); raw: the record as sent. typed: it is one of
    our own making, so each of its fields has passed a contract."""

    origin: str
    arrived_ms: int
    raw: bytes
    typed: bool = False


def seal(origin: str, arrived_ms: int, raw: bytes) -> bytes:
    """The bytes a source would hand over; used by tests and replays."""
    return f"{origin}|{arrived_ms}\n".encode("latin-1") + raw


def unseal(value: bytes) -> Envelope:
    """Raises ValueError if ``value`` has no origin line: the source is not one of ours."""
    head, newline, raw = value.partition(b"\n")
    origin, bar, arrived = head.rpartition(b"|")
    if not newline or not bar:
        raise ValueError("no origin line: use a source from tillstream.connectors")
    return Envelope(origin.decode("latin-1"), int(arrived), raw)
