"""The Parquet files of one prefix on S3 that are whole."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

CLOCKS_MS = 600_000  # our clock and S3's differ by less than this
COMPACTED = "compacted-"  # a compacted file's name: this, ms since the epoch, what tells it apart

_UNTIL = re.compile(rf"{COMPACTED}(\d+)-")


class File(NamedTuple):
    """finished_ms: by S3's clock; of a compacted file, when the youngest in it was finished."""

    key: str
    finished_ms: int
    bytes: int = 0


def finished(client: Any, bucket: str, prefix: str, since_ms: int) -> list[File]:
    """Whole files under ``prefix`` that were finished since then, oldest first."""
    found = []
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    for page in pages:
        for item in page.get("Contents", ()):
            parts = item["Key"].removeprefix(prefix).split("/")
            said = _UNTIL.match(parts[-1])
            at_ms = int(said[1]) if said else int(item["LastModified"].timestamp() * 1000)
            hidden = any(part.startswith((".", "_")) for part in parts)
            if item["Size"] and at_ms >= since_ms and not hidden:
                found.append(File(item["Key"], at_ms, item["Size"]))
    return sorted(found, key=lambda file: (file.finished_ms, file.key))
