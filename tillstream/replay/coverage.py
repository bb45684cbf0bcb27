"""Whether the archive accounts for all of a gap, and its rows in order: pure, of what its files say.

Every offset of the gap must be accounted for by something that can be seen: an archived row, a dead letter of
the archive's, or its note that it read the record and did not keep it, or that there is none at that offset
(the marks of a producer's transactions). One that nothing accounts for may have been a record, whatever else
is known: how far the archive's job has read, or how new its files are, proves nothing of the record in
between.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tillstream.replay.stream_reach import Gap

Place = tuple[int, int]  # partition, offset
Missing = dict[int, list[tuple[int, int]]]  # partition -> runs of offsets [first, end)


class Row(NamedTuple):
    """One archived transaction. ``raw`` is its JSON as the front door wrote it."""

    place: Place
    key: str
    raw: bytes
    taken_ms: int
    origin: str
    identity: str = ""


class Piece(NamedTuple):
    """A file with rows of the gap. taken_ms: of the first of them; firsts: partition -> the lowest offset."""

    key: str
    taken_ms: int
    firsts: dict[int, int]


def places_of(origin: str, stream: str) -> tuple[int, int, int] | None:
    """Partition, first and last offset of an origin in ``stream`` (``kafka:topic``); None of another stream
    or none at all."""
    where, _, position = origin.rpartition("/")
    of, _, part = where.rpartition("/")
    first, _, last = position.partition("-")
    last = last or first
    if of != stream or not (part.isdecimal() and first.isdecimal() and last.isdecimal()):
        return None
    return int(part), int(first), int(last)


class Survey:
    """What is seen of a gap, file by file."""

    def __init__(self, gap: Gap, stream: str) -> None:
        self.gap, self.stream = gap, stream
        self.pieces: list[Piece] = []
        self._seen = {n: bytearray(end - first) for n, (first, end) in gap.offsets.items()}

    def archived(self, key: str, rows: Iterable[tuple[str, int]]) -> None:
        """The (place, taken_ms) of the rows of one file of the archive."""
        firsts: dict[int, int] = {}
        earliest_ms = 0
        for origin, taken_ms in rows:
            found = places_of(origin, self.stream)
            if found is None or not lies_in(self.gap, (found[0], found[1])):
                continue
            part, at, _ = found
            earliest_ms = min(earliest_ms, taken_ms) if firsts else taken_ms
            firsts[part] = min(firsts.get(part, at), at)
            self.accounted(origin)
        if firsts:
            self.pieces.append(Piece(key, earliest_ms, firsts))

    def accounted(self, origin: str) -> None:
        """The record of that origin, or the hole there, is known of."""
        found = places_of(origin, self.stream)
        if found is None:
            return
        part, first, last = found
        begin, end = self.gap.offsets.get(part, (0, 0))
        first, last = max(first, begin), min(last, end - 1)
        if first <= last:
            self._seen[part][first - begin : last - begin + 1] = b"\1" * (last - first + 1)

    def missing(self) -> Missing:
        """Offsets of the gap that nothing accounts for."""
        out: Missing = {}
        for part, seen in self._seen.items():
            begin, at = self.gap.offsets[part][0], seen.find(0)
            while at >= 0:
                end = seen.find(1, at)
                end = len(seen) if end < 0 else end
                out.setdefault(part, []).append((begin + at, begin + end))
                at = seen.find(0, end)
        return out


def beyond(missing: Missing, accepted: Missing) -> Missing:
    """What of ``missing`` was not accepted."""
    left: Missing = {}
    for part, runs in missing.items():
        for first, end in runs:
            at = first
            for begun, over in sorted(accepted.get(part, [])):
                if begun >= end or over <= at:
                    continue
                if begun > at:
                    left.setdefault(part, []).append((at, begun))
                at = max(at, over)
            if at < end:
                left.setdefault(part, []).append((at, end))
    return left


def lies_in(gap: Gap, place: Place) -> bool:
    first, end = gap.offsets.get(place[0], (0, 0))
    return first <= place[1] < end


def in_order(pieces: Iterable[Piece], read: Callable[[str], Iterable[Row]]) -> Iterator[Row]:
    """The rows of all pieces, each partition's by offset, each once.

    Pieces are read by when their rows were taken, which is about the order in which they were read. A row
    is let go once no piece to come has one as low. Memory: the rows of pieces that overlap.
    """
    ordered = sorted(pieces, key=lambda one: (one.taken_ms, one.key))
    ahead: dict[int, list[tuple[int, int]]] = defaultdict(list)  # lowest position, of which piece
    for number, piece in enumerate(ordered):
        for part, at in piece.firsts.items():
            heapq.heappush(ahead[part], (at, number))
    waiting: dict[int, list[tuple[int, str, int, Row]]] = defaultdict(list)
    given: dict[int, tuple[int, set[str]]] = {}
    count = 0
    for number, piece in enumerate(ordered):
        for row in read(piece.key):
            count += 1
            heapq.heappush(waiting[row.place[0]], (row.place[1], row.identity, count, row))
        for part in sorted(waiting):
            held, coming = waiting[part], ahead[part]
            while coming and coming[0][1] <= number:
                heapq.heappop(coming)
            while held and not (coming and held[0][0] >= coming[0][0]):
                at, identity, _, row = heapq.heappop(held)
                if given.get(part, (-1, set()))[0] != at:
                    given[part] = (at, set())
                # What came in one record shares its place, but not its id.
                if identity not in given[part][1]:
                    given[part][1].add(identity)
                    yield row
