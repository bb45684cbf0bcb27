"""The file of a spool: how it is made and opened, and what is said of a file that is not one.

SQLite with a rollback journal that is truncated, and ``synchronous=FULL``: a commit is on the disk when it
returns. No WAL: that needs memory shared between processes, so it works on no network folder, and its
file grows for as long as anybody reads. Its one sync per commit against three matters little
where many records share a commit.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tillstream.errors import Problem

NAME = "spool.db"
LOCK = "spool.lock"
APPLICATION = 0x54696C6C  # "Till", in SQLite's header of the file
LAYOUT = 1
BUSY_S = 30.0
_MADE = f"""
PRAGMA page_size = 4096;
BEGIN;
CREATE TABLE waiting (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, size INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL);
CREATE INDEX waiting_by_key ON waiting (key);
CREATE TABLE bodies (seq INTEGER PRIMARY KEY, raw BLOB NOT NULL);
CREATE TABLE refused (
    seq INTEGER PRIMARY KEY, key TEXT NOT NULL, raw BLOB NOT NULL, size INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL, refused_ms INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE sums (state TEXT PRIMARY KEY, records INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO sums VALUES ('waiting', 0, 0), ('refused', 0, 0);
CREATE TABLE files (name TEXT PRIMARY KEY, read INTEGER NOT NULL, digest BLOB NOT NULL);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {LAYOUT};
COMMIT;
"""


class SpoolDamaged(Problem):
    """The file cannot be used as a spool; nothing of it was changed."""


class SpoolInUse(Problem):
    """Another process forwards what is in the spool."""


def open_file(folder: Path, check: bool = True) -> sqlite3.Connection:
    """The spool in ``folder``, made where there is none. ``check``: reads all of it to see that it is whole.

    Raises SpoolDamaged with what to do, and Problem where the folder cannot be used.
    """
    file, journal = folder / NAME, folder / f"{NAME}-journal"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            if journal.exists() and journal.stat().st_size:
                raise SpoolDamaged(
                    f"{file} is gone, but {journal.name} is there: a spool is both. Bring it back from where "
                    "it went, or move the journal away, which gives up what the spool held"
                )
            _make(file)
        if not file.stat().st_size:
            raise SpoolDamaged(_moved(file, "is empty, which no spool ever is: it was cut off"))
    except OSError as error:
        raise Problem(
            f"{error.filename or folder}: {error.strerror}: till.folder must be a folder that can be written"
        ) from None
    return _opened(file, check)


def read_file(folder: Path) -> sqlite3.Connection | None:
    """The spool for reading, and for a person's decisions; None where there is none."""
    return _opened(folder / NAME, check=False) if (folder / NAME).exists() else None


def _make(file: Path) -> None:
    """All at once by a rename: a file of no bytes or half of a layout is never ours."""
    half = file.with_name(f"{NAME}.new")
    half.unlink(missing_ok=True)
    half.with_name(f"{half.name}-journal").unlink(missing_ok=True)
    os.close(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with contextlib.closing(sqlite3.connect(half, isolation_level=None)) as made:
        made.execute("PRAGMA synchronous = FULL")
        made.executescript(_MADE)
    half.rename(file)
    sync_folder(file.parent)


def _opened(file: Path, check: bool) -> sqlite3.Connection:
    found = sqlite3.connect(file, BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _verify(found, file, check)
    except sqlite3.DatabaseError as error:
        found.close()
        raise damaged(file, error) from None
    except SpoolDamaged:
        found.close()
        raise
    return found


def _verify(found: sqlite3.Connection, file: Path, check: bool) -> None:
    (application,) = found.execute("PRAGMA application_id").fetchone()
    (layout,) = found.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise SpoolDamaged(_moved(file, "is another program's database"))
    if layout != LAYOUT:
        whose = "an older" if layout < LAYOUT else "a newer"
        raise SpoolDamaged(
            f"{file} was made by {whose} release (layout {layout}, this one has {LAYOUT}): let that release "
            "forward what it holds, then move the file away"
        )
    if check:
        (said,) = found.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise SpoolDamaged(_moved(file, "is damaged"))
    found.execute("PRAGMA journal_mode = TRUNCATE")
    found.execute("PRAGMA synchronous = FULL")
    found.execute("PRAGMA secure_delete = FAST")


def damaged(file: Path, error: sqlite3.DatabaseError) -> Problem:
    """What SQLite's error means for who runs this."""
    if isinstance(error, sqlite3.OperationalError):
        return Problem(f"{file}: {error}: see that the disk has room and the file can be written")
    return SpoolDamaged(_moved(file, f"is damaged ({error})"))


def _moved(file: Path, what: str) -> str:
    return (
        f"{file} {what}. Nothing was changed: move it away, with {file.name}-journal if there is one, and "
        "keep both (`sqlite3 FILE .recover` may save records that wait in it); then start again"
    )


def sync_folder(folder: Path) -> None:
    """So that a rename or a removal in it outlives a power cut."""
    there = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(there)
    finally:
        os.close(there)


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Holds ``folder`` for this process; its end, by whatever signal, gives it back. Raises SpoolInUse."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
    except OSError as error:
        raise Problem(
            f"{folder}: {error.strerror}: till.folder must be a folder that can be written"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise SpoolInUse(
                f"another forwarder (process {file.read().strip() or 'unknown'}) has the spool in {folder}: "
                "stop it, or give this one another till.folder"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def is_locked(folder: Path) -> bool:
    """Whether a process forwards from there. A look takes the lock for a moment, shared with other looks."""
    try:
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
