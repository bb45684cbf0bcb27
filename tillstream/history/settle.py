"""After a replay: what the job wrote to S3 before it, and again in it, is set aside.

A replay from a savepoint writes again whatever the job had written after that savepoint. Files close
at checkpoints, so a file lies wholly before or wholly after a savepoint; ids in the rows tell which.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tillstream import catalog
from tillstream.clients import parquet
from tillstream.clients.storage import S3Folder, open_bucket, open_storage
from tillstream.conf import Conf
from tillstream.history.compact import Compactor
from tillstream.history.files import CLOCKS_MS, COMPACTED, KEPT, File, finished
from tillstream.history.lease import Lease, Taken

ASIDE = "_replayed"  # readers skip names that begin with an underscore


class Settled(NamedTuple):
    """Files and rows that are no longer read, for the replay wrote the rows again."""

    files: int
    rows: int


def s3_now_ms(conf: Conf) -> int:
    """What S3's own clock says, which dates its files."""
    return open_bucket(conf).now_ms()


def lacking(conf: Conf, files: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Of those (bucket, key): the keys that are nowhere, and those whose upload is still open.

    A savepoint names the files it closed; the job's next checkpoint, or a restore, finishes their
    uploads. Without either file or upload a restore fails.
    """
    gone: list[str] = []
    unfinished: list[str] = []
    for name in sorted({bucket for bucket, _ in files}):
        bucket = open_storage(f"s3://{name}", conf)
        assert isinstance(bucket, S3Folder)
        if absent := [key for at, key in files if at == name and bucket.size(key) is None]:
            uploads = bucket.uploads()
            gone += [key for key in absent if key not in uploads]
            unfinished += [key for key in absent if key in uploads]
    return gone, unfinished


class Span(NamedTuple):
    """Which files the run before a replay wrote after its savepoint, by S3's clock.

    boundary_ms: the old run had ended and the replay had not begun. since_ms: about when the savepoint
    was taken. history_ms: by then all files of what it holds were finished, but those ``named``, which
    are finished by a restore; 0 where that is not known. whole: the replay reads all again.
    """

    since_ms: int
    boundary_ms: int
    history_ms: int = 0
    named: frozenset[str] = frozenset()
    whole: bool = True

    def are_over(self, file: File) -> bool:
        """All that is in the file is read again, so what is true of it is written again."""
        after = 0 < self.history_ms <= file.finished_ms < self.boundary_ms
        # What an earlier release kept of a file says not from when it is.
        dated = KEPT not in file.key or f"/{COMPACTED}" in file.key
        return self.whole and after and dated and file.key not in self.named

    def may_be_over(self, file: File) -> bool:
        """Some of what is in the file may be written again: its rows' ids tell."""
        return file.finished_ms < self.boundary_ms and file.key not in self.named


def settle(
    conf: Conf, job: str, span: Span, replay_id: str, say: Callable[[str], None] = lambda _: None
) -> Settled:
    """Sets aside what the run before the replay wrote after the savepoint: whole files where all of
    them is known to be so, else the rows that files since the boundary repeat. Waits for whoever else is at
    these files. Raises UnknownJob, and Taken if somebody takes them from us.
    """
    if catalog.job(job).sums:
        raise ValueError(
            f"{job} writes rows without an identity: which are repeated cannot be told"
        )
    bucket, done = None, Settled(0, 0)
    for history in catalog.job(job).set_aside:
        bucket = bucket or open_bucket(conf)
        prefix = conf.prefix(history)
        with Lease(bucket, prefix, f"replay of {job}", say, wait=True) as lease:
            Compactor(lease).finish()
            found = [
                file
                for file in finished(bucket, prefix, span.since_ms - CLOCKS_MS)
                if file.key not in lease.dropped
            ]
            files, rows = _settle(lease, found, history.identity, span, replay_id)
        done = Settled(done.files + files, done.rows + rows)
    return done


def _settle(
    lease: Lease, found: list[File], identity: tuple[str, ...], span: Span, replay_id: str
) -> Settled:
    bucket, prefix = lease.bucket, lease.prefix

    def set_aside(file: File) -> None:
        lease.check()
        bucket.move(file.key, f"{prefix}/{ASIDE}/{replay_id}{file.key.removeprefix(prefix)}")

    files = rows = 0
    folders: dict[str, tuple[list[File], list[File]]] = defaultdict(lambda: ([], []))
    for file in found:
        old, new = folders[file.key.rpartition("/")[0]]
        if span.are_over(file):
            files, rows = files + 1, rows + len(_ids(lease, file, identity))
            set_aside(file)
        elif span.may_be_over(file):
            old.append(file)
        elif file.finished_ms >= span.boundary_ms:
            new.append(file)
    # One event's row lies in the same folder each time, so a folder is settled by itself.
    for old, new in folders.values():
        if not old or not new:
            continue
        again = pa.concat_arrays([c for f in new for c in _ids(lease, f, identity).chunks])
        for file in old:
            repeated = pc.is_in(_ids(lease, file, identity), value_set=again)
            count = pc.sum(repeated).as_py() or 0
            if not count:
                continue
            if count < len(repeated):
                _keep(lease, file, pc.invert(repeated), replay_id)
            set_aside(file)
            files, rows = files + 1, rows + count
    return Settled(files, rows)


def _ids(lease: Lease, file: File, identity: tuple[str, ...]) -> pa.ChunkedArray:
    lease.beat()
    table = parquet.table(lease.bucket.get(file.key), identity)
    parts = [table[name].cast(pa.string()) for name in identity]
    return pc.binary_join_element_wise(*parts, "\n") if len(parts) > 1 else parts[0]


def _keep(lease: Lease, file: File, mask: pa.Array, replay_id: str) -> None:
    """Writes the rows of ``mask`` beside the file, which then goes."""
    out = io.BytesIO()
    pq.write_table(parquet.table(lease.bucket.get(file.key)).filter(mask), out, compression="zstd")
    folder, _, name = file.key.removesuffix(".parquet").rpartition("/")
    # Dated as the file that it is of, for the next replay.
    name = f"{folder}/{COMPACTED}{file.finished_ms}-{name}{KEPT}{replay_id}.parquet"
    lease.check()
    lease.bucket.write(name, out.getvalue())
    try:
        lease.check()
    except Taken:  # whoever has it now may have merged the file itself
        lease.bucket.delete([name])
        raise
