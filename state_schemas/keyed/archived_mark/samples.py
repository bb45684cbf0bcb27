"""Marks as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

import msgspec

from tillstream.state_schemas.keyed.archived_mark import Mark, v1

SAMPLES: dict[int, dict[str, msgspec.Struct]] = {
    1: {"archived": v1.Mark()},
    2: {"archived": Mark(bytes(range(8))), "of-before": Mark(b"")},
}
