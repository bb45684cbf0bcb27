"""Records that wait for their stream, on disk: what was kept is there after a crash, in its order.

    kept --delivered--> (gone)      kept --refused--> refused --dropped by a person--> (gone)

One process forwards (`layout.lock`); commands read beside it, and drop what is refused.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tillstream.cli.times import now_ms
from tillstream.clients.retry import Keyed
from tillstream.errors import Problem
from tillstream.till import layout

WINDOW = 2000  # records looked at for a batch before all keys are
SHRINK_BYTES = 8_000_000  # of a file whose records are gone
OVERHEAD = 100  # bytes a record takes besides its own
FIX = (
    "make room on the disk, raise till.spool_records or till.spool_bytes, or see why nothing is delivered: "
    "`tillstream till status`"
)


class Limits(NamedTuple):
    """Of records and bytes kept, refused ones too, and of the bytes that stay free on the disk."""

    records: int
    bytes: int
    disk_free: int


class Waiting(NamedTuple):
    seq: int
    key: str
    raw: bytes


class Refused(NamedTuple):
    """``key_hash``: what can be shown of a key, which may be a customer's."""

    seq: int
    key_hash: str
    size: int
    accepted_ms: int
    refused_ms: int
    reason: str


class Sums(NamedTuple):
    """What is there: records, their bytes, and when the oldest waiting one was accepted (ms UTC)."""

    waiting: int
    waiting_bytes: int
    refused: int
    refused_bytes: int
    oldest_ms: int | None


class SpoolFull(Problem):
    """No room is left. ``left`` holds the caller's records that are not safe, in their order; those that are
    not in it are delivered or kept."""

    def __init__(self, why: str, left: Sequence[Keyed] = ()) -> None:
        super().__init__(f"the spool takes no more ({why}): {FIX}")
        self.why, self.left = why, list(left)


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class Spool:
    """Safe to use from several threads. Raises SpoolDamaged, or Problem where the disk fails."""

    def __init__(
        self, folder: Path, limits: Limits, free: Callable[[Path], int] = free_bytes
    ) -> None:
        self.folder, self.limits, self._free = folder, limits, free
        self._lock = threading.RLock()
        self._db = layout.open_file(folder)
        self.sums = read_sums(self._db)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # -- what is kept ------------------------------------------------------------------------------

    def has(self, key: str) -> bool:
        """Whether a record of the key waits."""
        if not self.sums.waiting:
            return False
        with self._reading() as db:
            found = db.execute("SELECT 1 FROM waiting WHERE key = ? LIMIT 1", (key,))
            return found.fetchone() is not None

    def full(self, records: Sequence[Keyed]) -> str:
        """Why there is no room for all of these; empty if there is."""
        if why := self._full(records):
            with self._reading() as db:  # a person may have dropped what was refused
                self.sums = read_sums(db)
            why = self._full(records)
        return why

    def _full(self, records: Sequence[Keyed]) -> str:
        with self._lock:
            held = self.sums.waiting + self.sums.refused + len(records)
            size = sum(len(raw) for _, raw in records)
            of_all = self.sums.waiting_bytes + self.sums.refused_bytes + size
        if held > self.limits.records:
            return f"till.spool_records: {self.limits.records:,}"
        if of_all > self.limits.bytes:
            return f"till.spool_bytes: {self.limits.bytes:,}"
        needed = self.limits.disk_free + size + OVERHEAD * len(records)
        if self._free(self.folder) < needed:
            return f"till.disk_free_bytes: less than {self.limits.disk_free:,} would be free"
        return ""

    def used_percent(self) -> int:
        """Of what the limits allow, whichever is nearer."""
        with self._lock:
            held = self.sums.waiting + self.sums.refused
            of_all = self.sums.waiting_bytes + self.sums.refused_bytes
        by_count = 100 * held // self.limits.records
        by_size = 100 * of_all // self.limits.bytes
        room = max(self._free(self.folder) - self.limits.disk_free, 0)
        by_disk = 100 * of_all // (of_all + room) if of_all + room else 100
        return max(by_count, by_size, by_disk)

    def keep(
        self, records: Sequence[Keyed], refused: Sequence[tuple[str, bytes, str]] = ()
    ) -> None:
        """Returns once all are on the disk. ``refused``: with the reason why they can never be sent. Raises
        SpoolFull, with none of them kept."""
        everything = [*records, *((key, raw) for key, raw, _ in refused)]
        if why := self.full(everything):
            raise SpoolFull(why, everything)
        at_ms = now_ms()
        with self._writing() as db:
            for key, raw in records:
                row = (key, len(raw), at_ms)
                seq = db.execute(
                    "INSERT INTO waiting (key, size, accepted_ms) VALUES (?, ?, ?)", row
                ).lastrowid
                db.execute("INSERT INTO bodies VALUES (?, ?)", (seq, raw))
            _add(db, "waiting", len(records), sum(len(raw) for _, raw in records))
            for key, raw, reason in refused:
                _set_aside(db, None, key, raw, at_ms, reason)

    # -- the way out -------------------------------------------------------------------------------

    def oldest(self, records: int, size: int, without: Collection[str]) -> list[Waiting]:
        """The next batch: the oldest record of each key but those of ``without``, oldest first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT seq, key, size FROM waiting ORDER BY seq LIMIT ?", (max(WINDOW, records),)
            )
            chosen = _chosen(rows, records, size, without)
            if not chosen and self.sums.waiting > WINDOW:
                rows = db.execute(
                    "SELECT min(seq), key, 0 FROM waiting GROUP BY key ORDER BY min(seq)"
                )
                # One at a time of such: its size is not known here.
                chosen = _chosen(rows, 1, size, without)
            found = []
            for seq, key in chosen:
                (raw,) = db.execute("SELECT raw FROM bodies WHERE seq = ?", (seq,)).fetchone()
                found.append(Waiting(seq, key, raw))
            return found

    def all_waiting(self) -> Iterator[Keyed]:
        """What waits, oldest first."""
        with self._reading() as db:
            yield from db.execute(
                "SELECT key, raw FROM waiting JOIN bodies USING (seq) ORDER BY seq"
            )

    def settle(self, delivered: Sequence[int], refused: Sequence[tuple[int, str]] = ()) -> None:
        """Takes out what was delivered, and sets aside what is refused, with the reason."""
        if not delivered and not refused:
            return
        with self._writing() as db:
            for seq in delivered:
                size = _take(db, seq)[2]
                _add(db, "waiting", -1, -size)
            for seq, reason in refused:
                (raw,) = db.execute("SELECT raw FROM bodies WHERE seq = ?", (seq,)).fetchone()
                key, accepted_ms, size = _take(db, seq)
                _add(db, "waiting", -1, -size)
                _set_aside(db, seq, key, raw, accepted_ms, reason)

    def shrink(self) -> bool:
        """Gives back what the file holds of records that are gone. Whether there was anything to do."""
        with self._lock:
            if self.sums.waiting or (self.folder / layout.NAME).stat().st_size < SHRINK_BYTES:
                return False
            if self.sums.refused_bytes > SHRINK_BYTES // 2:
                return False
            with self._told():
                self._db.execute("VACUUM")
            return True

    # -- how far files are read --------------------------------------------------------------------

    def read_of(self, name: str) -> tuple[int, bytes] | None:
        """Bytes of the file whose records are safe, and their digest."""
        with self._reading() as db:
            found = db.execute("SELECT read, digest FROM files WHERE name = ?", (name,)).fetchone()
            return found and (found[0], found[1])

    def note_read(self, name: str, read: int, digest: bytes) -> None:
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (name, read, digest))

    def forget_read(self, name: str) -> None:
        """No effect, and no write, where nothing is known of it."""
        if self.read_of(name) is not None:
            with self._writing() as db:
                db.execute("DELETE FROM files WHERE name = ?", (name,))

    # -- inside ------------------------------------------------------------------------------------

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise layout.damaged(self.folder / layout.NAME, error) from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told():
            yield self._db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on the disk at the end, or nothing."""
        with self._lock, self._told():
            with transaction(self._db):
                yield self._db
            self.sums = read_sums(self._db)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def read_sums(db: sqlite3.Connection) -> Sums:
    sums = {state: (n, size) for state, n, size in db.execute("SELECT * FROM sums")}
    oldest = db.execute("SELECT accepted_ms FROM waiting ORDER BY seq LIMIT 1").fetchone()
    return Sums(*sums["waiting"], *sums["refused"], oldest[0] if oldest else None)


def read_refused(db: sqlite3.Connection) -> list[Refused]:
    """Oldest first, without keys and contents."""
    rows = db.execute(
        "SELECT seq, key, size, accepted_ms, refused_ms, reason FROM refused ORDER BY seq"
    )
    return [Refused(seq, key_hash(key), *rest) for seq, key, *rest in rows]


def refused_record(db: sqlite3.Connection, seq: int) -> Keyed | None:
    found = db.execute("SELECT key, raw FROM refused WHERE seq = ?", (seq,)).fetchone()
    return found and (found[0], found[1])


def drop_refused(db: sqlite3.Connection, seqs: Sequence[int]) -> int:
    """Takes these out for good; how many of them were there."""
    dropped = 0
    with transaction(db):
        for seq in seqs:
            found = db.execute("SELECT size FROM refused WHERE seq = ?", (seq,)).fetchone()
            if found is not None:
                db.execute("DELETE FROM refused WHERE seq = ?", (seq,))
                _add(db, "refused", -1, -found[0])
                dropped += 1
    return dropped


def key_hash(key: str) -> str:
    """The same for the same key; the key cannot be read from it, though a guess can be tried."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _chosen(
    rows: sqlite3.Cursor, records: int, size: int, without: Collection[str]
) -> list[tuple[int, str]]:
    chosen: dict[str, int] = {}
    for seq, key, one in rows:
        if key in without or key in chosen:
            continue
        if chosen and one > size:
            break
        size -= one
        chosen[key] = seq
        if len(chosen) == records:
            break
    return [(seq, key) for key, seq in chosen.items()]


def _take(db: sqlite3.Connection, seq: int) -> tuple[str, int, int]:
    """(key, accepted, size) of what is taken out of those that wait."""
    row = db.execute("SELECT key, accepted_ms, size FROM waiting WHERE seq = ?", (seq,)).fetchone()
    db.execute("DELETE FROM waiting WHERE seq = ?", (seq,))
    db.execute("DELETE FROM bodies WHERE seq = ?", (seq,))
    return row[0], row[1], row[2]


def _set_aside(
    db: sqlite3.Connection, seq: int | None, key: str, raw: bytes, accepted_ms: int, reason: str
) -> None:
    """``seq``: its place among those that waited, or a new one."""
    if seq is None:
        row = (key, len(raw), accepted_ms)
        seq = db.execute(
            "INSERT INTO waiting (key, size, accepted_ms) VALUES (?, ?, ?)", row
        ).lastrowid
        db.execute("DELETE FROM waiting WHERE seq = ?", (seq,))
    values = (seq, key, raw, len(raw), accepted_ms, now_ms(), reason)
    db.execute("INSERT INTO refused VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    _add(db, "refused", 1, len(raw))


def _add(db: sqlite3.Connection, state: str, records: int, size: int) -> None:
    db.execute(
        "UPDATE sums SET records = records + ?, bytes = bytes + ? WHERE state = ?",
        (records, size, state),
    )
