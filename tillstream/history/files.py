"""The Parquet files of one prefix on S3 that are whole."""

from __future__ import annotations

import re
from typing import NamedTuple

from tillstream.clients.storage import Storage, visible

CLOCKS_MS = 600_000  # our clock and S3's differ by less than this
COMPACTED = "compacted-"  # a compacted file's name: this, ms since the epoch, what tells it apart

KEPT = "-kept-"  # in the name of what a replay left of a file that it set aside

_UNTIL = re.compile(rf"{COMPACTED}(\d+)-")
_PART = re.compile(r"(.+)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-\d+\.parquet")


class File(NamedTuple):
    """finished_ms: by S3's clock; of a compacted file, when the youngest in it was finished."""

    key: str
    finished_ms: int
    bytes: int = 0

    @property
    def writer(self) -> str | None:
        """The job and sink that wrote it, "" if its name does not say; None if compacting or a replay did,
        so that no job's checkpoint names it."""
        name = self.key.rpartition("/")[2]
        if name.startswith(COMPACTED) or KEPT in name:
            return None
        part = _PART.fullmatch(name)
        return part[1] if part else ""


def finished(bucket: Storage, prefix: str, since_ms: int) -> list[File]:
    """Whole files under ``prefix`` that were finished since then, oldest first."""
    found = []
    for file in visible(bucket.files(f"{prefix}/"), prefix):
        said = _UNTIL.match(file.name.rpartition("/")[2])
        at_ms = int(said[1]) if said else file.written_ms
        if at_ms >= since_ms:
            found.append(File(file.name, at_ms, file.bytes))
    return sorted(found, key=lambda file: (file.finished_ms, file.key))
