"""Records in a file to be sent later by `tillstream sim --from-spool`: JSON lines with bytes in base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator
from pathlib import Path

from tillstream.errors import Problem

TILLS = "tills"


class NotExported(Problem):
    """A file is not one of exported records."""


def line_of(key: str, raw: bytes, stream: str = TILLS) -> bytes:
    """``stream``: other than the tills', by name."""
    kept = {"key": key, "data": base64.b64encode(raw).decode()}
    kept |= {} if stream == TILLS else {"stream": stream}
    return json.dumps(kept).encode() + b"\n"


def read_lines(path: Path, streams: Collection[str]) -> Iterator[tuple[str, bytes, str]]:
    """(key, record, stream) of each line; one that names no stream is the tills'. Raises NotExported with the
    number of a line that is not of such a file."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                kept = json.loads(line)
                key, stream = kept["key"], kept.get("stream", TILLS)
                if not isinstance(key, str) or stream not in streams:
                    raise ValueError
                yield key, base64.b64decode(kept["data"], validate=True), stream
            except (ValueError, KeyError, TypeError):
                raise NotExported(
                    f"{path}:{number}: no line of a spool file, which `tillstream sim` and `tillstream till "
                    "refused export` write"
                ) from None
