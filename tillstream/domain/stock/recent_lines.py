"""What moved one product in one store of late: to know a line that comes twice, and to count again.

A line takes 16 bytes: 8 of a hash of its id, 4 of its event time (ms after a base), 4 of the pieces it
moved. The bytes are searched, not decoded: 0.5 us among 64 lines, 26 us among 4,096. Two different
lines of one key share a hash once in some 10^15 lines.
"""

from __future__ import annotations

import struct
from hashlib import blake2b

import msgspec

RECORD = 16
FEWEST = 32  # lines that are kept without a look
SPAN_MS = 2**32 - 1  # 49 days: what four bytes of milliseconds reach
_pack = struct.Struct(">8sIi").pack
_unpack = struct.Struct(">8sIi").iter_unpack


class Recent(msgspec.Struct, array_like=True, gc=False):
    """Lines in order of arrival. No event time is before ``base_ms``; every line with an event time
    at or before ``floor_ms`` may have been forgotten. ``due``: so many lines make it worth a look for
    what can be forgotten."""

    base_ms: int = -1
    floor_ms: int = -1
    records: bytes = b""
    due: int = 0


def fingerprint(line_id: str) -> bytes:
    """8 bytes that stand for ``line_id``."""
    return blake2b(line_id.encode(), digest_size=8).digest()


def holds(recent: Recent, mark: bytes) -> bool:
    """Whether the line with this fingerprint is remembered."""
    records = recent.records
    at = records.find(mark)
    while at > 0 and at % RECORD:
        at = records.find(mark, at + 1)
    return at >= 0


def add(recent: Recent, mark: bytes, event_ms: int, moved: int, horizon_ms: int) -> None:
    """Remember a line that moved ``moved`` pieces. ``horizon_ms``: how far back lines may come."""
    if recent.base_ms < 0:
        recent.base_ms = event_ms - horizon_ms
    elif event_ms - recent.base_ms > SPAN_MS:
        forget(recent, event_ms - horizon_ms - 1)
    elif event_ms < recent.base_ms:  # the horizon was shorter when this began
        _rebase(recent, event_ms)
    recent.records += _pack(mark, event_ms - recent.base_ms, moved)


def moved_since(recent: Recent, event_ms: int) -> int:
    """Pieces moved by the lines with an event time after ``event_ms``."""
    after = event_ms - recent.base_ms
    return sum(moved for _, at, moved in _unpack(recent.records) if at > after)


def size(recent: Recent) -> int:
    """How many lines are remembered."""
    return len(recent.records) // RECORD


def forget(recent: Recent, floor_ms: int) -> None:
    """Drop every line at or before ``floor_ms``, which becomes the floor."""
    _rebase(recent, floor_ms + 1)
    recent.floor_ms = floor_ms


def _rebase(recent: Recent, base_ms: int) -> None:
    """Event times after ``base_ms`` instead; lines before it go."""
    shift = base_ms - recent.base_ms
    recent.records = b"".join(
        _pack(mark, at - shift, moved) for mark, at, moved in _unpack(recent.records) if at >= shift
    )
    recent.base_ms = base_ms


def thin_out(recent: Recent, oldest_ms: int, most: int) -> None:
    """Drop what is before ``oldest_ms``, now and then: whenever a quarter more lines have gathered than
    the last time left over. Still over ``most`` lines, drop the older half as well."""
    count = size(recent)
    if (count < recent.due or count < FEWEST) and count <= most:
        return
    if oldest_ms > recent.base_ms:
        forget(recent, oldest_ms - 1)
    if size(recent) > most:
        times = sorted(at for _, at, _ in _unpack(recent.records))
        forget(recent, recent.base_ms + times[len(times) // 2])
    recent.due = size(recent) * 5 // 4
