"""Small history files made into few large ones, for what is asked of history years later.

A sink closes a file at each checkpoint, by date, region and subtask: a quiet shop's are some kilobytes.
Of each folder, the finished files that nobody needs one by one any more are written again as files of a
wanted size. The steps, so that nothing is lost wherever it breaks off:

1. a note under ``_compacting/`` says which files become which;
2. the large file is put, whole, and found to be there;
3. the small ones are deleted, then the note.

The next run ends what a broken one began. Between 2 and 3, seconds, readers see rows twice, never too few.

Whoever does this holds the history's lease, and looks whether it still does before 2 and before 3. One that
was taken for gone may put its file all the same: whether that counts is decided by who has the lease, in
`finish`, and of what does not count the name is dropped. So each attempt has a name of its own.

Left alone is what a restore or a replay may still need as it is: files as young as the oldest savepoint
that is kept, those that a savepoint without a manifest names, and each job's newest ones of each history,
which a checkpoint may name.
"""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Callable, Container
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tillstream.clients import parquet
from tillstream.errors import Problem
from tillstream.history.files import CLOCKS_MS, COMPACTED, File, finished
from tillstream.history.lease import Lease, Taken

NOTES = "_compacting"  # readers skip names that begin with an underscore
ROW_GROUP = 100_000  # rows; fewer only where a file has fewer


class Note(msgspec.Struct):
    """What is under way in one folder: ``sources`` become ``target``. bytes: of it; 0 in notes of before."""

    target: str
    sources: list[str]
    bytes: int = 0


class Group(NamedTuple):
    """Files of one folder that become one."""

    folder: str
    files: list[File]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


class Done(NamedTuple):
    files: int
    into: int
    bytes: int

    def __add__(self, other: Any) -> Done:
        return Done(*(mine + its for mine, its in zip(self, other, strict=True)))


class CompactError(Problem):
    """A file is not what it should be; nothing of its folder was deleted."""

    def lines(self) -> list[str]:
        return [f"error: {self.message}: nothing of that folder was deleted; run it again"]


class Compactor:
    """Of one history. ``lease``: held, but for `plan` alone. All but that raise Taken once it is lost."""

    def __init__(self, lease: Lease) -> None:
        self.lease, self.bucket, self.prefix = lease, lease.bucket, lease.prefix

    def plan(self, before_ms: int, target_bytes: int, named: Container[str] = ()) -> list[Group]:
        """What would become one file each: finished before then and before its writer's newest, and not
        among the keys ``named``.

        Files of half the size and more stay as they are. Each group has two files or more, of
        ``target_bytes`` at most.
        """
        dropped = self.lease.dropped
        found = [file for file in finished(self.bucket, self.prefix, 0) if file.key not in dropped]
        # Of each writer, for all jobs share the prefix of dead letters: one that is down for long is
        # restored from a checkpoint that names its own newest.
        newest = {file.writer: file.finished_ms for file in found}
        newest[None] = before_ms + CLOCKS_MS
        folders: dict[str, list[File]] = defaultdict(list)
        for file in found:
            old = file.finished_ms < min(before_ms, newest[file.writer] - CLOCKS_MS)
            if old and file.bytes < target_bytes // 2 and file.key not in named:
                folders[file.key.rpartition("/")[0]].append(file)
        return [
            group
            for folder in sorted(folders)
            for group in _groups(folder, folders[folder], target_bytes)
        ]

    def compact(self, groups: list[Group], progress: Callable[[Group], None]) -> Done:
        """Makes each group one file. Raises CompactError, StorageError."""
        done = Done(0, 0, 0)
        for group in groups:
            done += self._one(group)
            progress(group)
        return done

    def finish(self) -> int:
        """Ends what a run that broke off had begun; returns how many folders that were."""
        count = 0
        for file in list(self.bucket.files(f"{self.prefix}/{NOTES}/")):
            if note := self.bucket.read(file.name):
                self._end(msgspec.json.decode(note, type=Note))
                self.bucket.delete([file.name])
                count += 1
        self.bucket.delete(sorted(self.lease.dropped))
        return count

    def _end(self, note: Note) -> None:
        size = self.bucket.size(note.target)
        whole = size is not None and note.bytes in (size, 0)
        if whole and note.target not in self.lease.dropped:
            self.lease.check()
            self.bucket.delete(note.sources)
        elif note.bytes:  # a release of before may use the name again
            self.lease.drop(note.target)

    def _one(self, group: Group) -> Done:
        bodies: dict[str, bytes] = {}
        for file in group.files:
            self.lease.beat()
            bodies[file.key] = self.bucket.get(file.key)
        until_ms = max(file.finished_ms for file in group.files)
        done = Done(0, 0, 0)
        for schema, same in _alike(bodies).items():
            if len(same) < 2:
                continue
            named = "\n".join([self.lease.me, *same])
            tag = f"{until_ms}-{hashlib.sha256(named.encode()).hexdigest()[:12]}"
            target = f"{group.folder}/{COMPACTED}{tag}.parquet"
            note = f"{self.prefix}/{NOTES}/{tag}.json"
            body = _merged(schema, [bodies[key] for key in same], group.folder, self.lease.beat)
            self._put(note, msgspec.json.encode(Note(target, same, len(body))))
            self.lease.check()  # from here on who takes it from us finds the note
            self._put(target, body)
            self._check(target)
            self.bucket.delete(same)
            self.bucket.delete([note])
            done += Done(len(same), 1, sum(len(bodies[key]) for key in same))
        return done

    def _check(self, target: str) -> None:
        try:
            self.lease.check()
        except Taken:
            if target in self.lease.dropped:
                self.bucket.delete([target])
            raise

    def _put(self, key: str, body: bytes) -> None:
        self.bucket.write(key, body)
        if (size := self.bucket.size(key)) != len(body):
            raise CompactError(f"{key} has {size or 0:,} bytes after {len(body):,} were put")


def _groups(folder: str, files: list[File], target_bytes: int) -> list[Group]:
    """Files one after the other, oldest first, as many as the target holds; two or more."""
    groups: list[Group] = []
    size = 0
    for file in files:
        if not groups or size + file.bytes > target_bytes:
            groups.append(Group(folder, []))
            size = 0
        groups[-1].files.append(file)
        size += file.bytes
    return [group for group in groups if len(group.files) > 1]


def _alike(bodies: dict[str, bytes]) -> dict[pa.Schema, list[str]]:
    """Keys by their columns: a release may have added one."""
    found: dict[pa.Schema, list[str]] = defaultdict(list)
    for key, body in bodies.items():
        found[pq.read_schema(pa.BufferReader(body)).remove_metadata()].append(key)
    return found


def _merged(
    schema: pa.Schema, bodies: list[bytes], folder: str, beat: Callable[[], None] = lambda: None
) -> bytes:
    """One Parquet file of all their rows, one after the other. Raises CompactError."""
    out = io.BytesIO()
    rows, waiting = 0, 0
    held: list[pa.Table] = []
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for body in bodies:
            beat()
            table = parquet.table(body).replace_schema_metadata()
            rows, waiting = rows + len(table), waiting + len(table)
            held.append(table)
            if waiting >= ROW_GROUP:
                writer.write_table(pa.concat_tables(held), ROW_GROUP)
                held, waiting = [], 0
        if held:
            writer.write_table(pa.concat_tables(held), ROW_GROUP)
    written = out.getvalue()
    found = pq.ParquetFile(pa.BufferReader(written)).metadata.num_rows
    if found != rows:
        raise CompactError(f"{folder}: {found:,} of {rows:,} rows were written")
    return written
