"""Files of newline-delimited records in a folder: each comes by a rename, and goes once all of it is safe.

How far a file is read is in the spool, with a digest of what was read: after a crash it goes on there. A file
that fits in one batch has no such note; it is read again.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tillstream.clients.retry import Keyed
from tillstream.errors import Problem
from tillstream.till.keys import key_of
from tillstream.till.layout import sync_folder
from tillstream.till.spool import SpoolFull

if TYPE_CHECKING:
    from tillstream.till.forwarder import Forwarder

UNFINISHED = (".tmp", ".part", ".refused")
EVERY_S = 0.5
FULL_S = 5.0  # until a full spool is asked again
BATCH_BYTES = 4_000_000


class NotForwarded(Exception):
    """A file cannot be used; the message says why, without its content."""


class Folder:
    """``done``: where files go once they are safe; None deletes them. say: is told what a person must see."""

    def __init__(
        self,
        path: Path,
        forwarder: Forwarder,
        default_key: str,
        *,
        batch_records: int,
        record_bytes: int,
        done: Path | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.path, self._forwarder, self._key = path, forwarder, default_key
        self._batch_records, self._record_bytes = batch_records, record_bytes
        self._done, self._say = done, say
        self._told: set[str] = set()
        for folder in (path, done):
            if folder is not None and not folder.is_dir():
                raise Problem(f"{folder} is not a folder: create it")
        if done is not None and done.stat().st_dev != path.stat().st_dev:
            raise Problem(f"{done} is on another disk than {path}: a move there may be cut in half")

    def run(self, stop: threading.Event) -> None:
        """Until ``stop``, which is seen between two batches."""
        while not stop.is_set():
            if not self.once(stop):
                stop.wait(EVERY_S)

    def once(self, stop: threading.Event) -> int:
        """Forwards the files that are there, in the order of their names; how many are done."""
        count = 0
        for file in self.ready():
            if stop.is_set():
                break
            try:
                try:
                    count += self._forward(file, stop)
                except NotForwarded as why:
                    refused = _free_name(file.with_name(f"{file.name}.refused"), ".refused")
                    file.rename(refused)
                    self._forwarder.progress.noted(f"{refused} is not forwarded: {why}")
            except OSError as error:
                if file.name not in self._told:
                    self._told.add(file.name)
                    self._forwarder.progress.noted(f"{file} waits: {error.strerror}")
        return count

    def ready(self) -> list[Path]:
        """Those that were handed over: neither hidden nor named as unfinished."""
        try:
            with os.scandir(self.path) as entries:
                names = [
                    one.name
                    for one in entries
                    if one.is_file(follow_symlinks=False)
                    and not one.name.startswith(".")
                    and not one.name.endswith(UNFINISHED)
                ]
        except OSError as error:
            raise Problem(f"{self.path}: {error.strerror}: --watch needs a folder") from None
        return [self.path / name for name in sorted(names)]

    def _forward(self, file: Path, stop: threading.Event) -> bool:
        """Whether all of it is safe, and the file is out of the way."""
        spool = self._forwarder.spool
        with file.open("rb") as lines:
            _check_lines(lines, self._record_bytes)
            size = lines.tell()
            digest = self._to_where_it_was(lines, file.name)
            while batch := self._batch(lines, digest):
                if not make_safe(self._forwarder, batch, stop, self._say):
                    return False
                if lines.tell() < size:
                    spool.note_read(file.name, lines.tell(), digest.digest())
        if self._done is None:
            file.unlink()
        else:
            file.rename(_free_name(self._done / file.name))
            sync_folder(self._done)
        sync_folder(self.path)
        spool.forget_read(file.name)
        return True

    def _to_where_it_was(self, lines: BinaryIO, name: str) -> hashlib._Hash:
        """Leaves ``lines`` behind what is safe of this very file; at its beginning if nothing is."""
        noted = self._forwarder.spool.read_of(name)
        lines.seek(0)
        if noted is not None:
            read, before = noted
            digest = hashlib.sha256()
            left = read
            while left and (part := lines.read(min(left, 1 << 20))):
                digest.update(part)
                left -= len(part)
            if not left and digest.digest() == before:
                return digest
            lines.seek(0)
        return hashlib.sha256()

    def _batch(self, lines: BinaryIO, digest: hashlib._Hash) -> list[Keyed]:
        """The next records; empty at the end of the file."""
        batch: list[Keyed] = []
        size = 0
        while len(batch) < self._batch_records and size < BATCH_BYTES:
            line = lines.readline()
            if not line:
                break
            digest.update(line)
            size += len(line)
            batch += keyed([line], self._key)
        return batch


def keyed(lines: list[bytes], default_key: str) -> Iterator[Keyed]:
    """Each line as a record with its key, its bytes as they are but for the newline; blank ones are none."""
    for line in lines:
        if line.strip():
            raw = line.removesuffix(b"\n")
            yield key_of(raw, default_key), raw


def make_safe(
    forwarder: Forwarder,
    batch: list[Keyed],
    stop: threading.Event,
    say: Callable[[str], None],
) -> bool:
    """Waits for room in a full spool as long as it takes. False where it was told to stop before."""
    told = False
    while True:
        try:
            forwarder.accept_many(batch)
            return True
        except SpoolFull as full:
            batch = full.left
            if not told:
                say(full.message)
                told = True
        if stop.wait(FULL_S):
            return False


def _check_lines(lines: BinaryIO, most: int) -> None:
    """Raises NotForwarded where a line is longer than a record may be; then nothing of it is sent."""
    while line := lines.readline(most + 2):
        if len(line.removesuffix(b"\n")) > most:
            raise NotForwarded(f"a line has more than {most:,} bytes (till.record_bytes)")


def _free_name(wanted: Path, suffix: str = "") -> Path:
    """``wanted``, with a number in it, before ``suffix``, where that is taken."""
    number, name = 1, wanted
    while name.exists():
        number += 1
        name = wanted.with_name(f"{wanted.name.removesuffix(suffix)}.{number}{suffix}")
    return name
