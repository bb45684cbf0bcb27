"""What goes to FirstVoids.java and comes back: a line, and a void as it was taken at the front door.

The line is the void's id, a blank and the receipt's on the way there, and the verdict on the way back, empty
where the void counts. Nothing here outlives a job: it is between two stages, never in a savepoint.
"""

from __future__ import annotations

import msgspec


class TakenVoid(msgspec.Struct, array_like=True, gc=False):
    """``sent``: enveloped. ``written``: its canonical form. ``raw``: what is kept of it as it came."""

    sent: bytes
    written: bytes
    raw: bytes | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(TakenVoid).decode


def to_be_judged(identity: str, receipt: str, taken: TakenVoid) -> bytes:
    return f"{identity} {receipt}\n".encode() + _encode(taken)


def judged(value: bytes) -> tuple[str, str, TakenVoid]:
    """The reason it does not count, "" where it does; the id that the reason is about; and the void."""
    verdict, _, taken = value.partition(b"\n")
    reason, _, about = verdict.decode().partition(" ")
    return reason, about, _decode(taken)
