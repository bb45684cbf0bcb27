"""What each version can hold, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.state_schemas.keyed.unfinished import Record, Unfinished

SAMPLES = {
    1: {
        "one": Unfinished([Record(b"kafka:promotions/0/7|1764000000000\n{}", 45)]),
        "two-revisions": Unfinished([Record(b"a", 2900), Record(b"b", 0)]),
    },
}
