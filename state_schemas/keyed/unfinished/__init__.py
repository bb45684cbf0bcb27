"""Keyed state of whoever makes more of a record than may come at once: records that are not through."""

from __future__ import annotations

import msgspec

from tillstream.state_schemas.keyed.versioned import Codec


class Record(msgspec.Struct, array_like=True, gc=False):
    """``value``: as it came to the stage. ``after``: the last part that is made, by the stage's numbers."""

    value: bytes
    after: int


class Unfinished(msgspec.Struct, array_like=True, gc=False):
    """Oldest first."""

    records: list[Record]


CODEC = Codec("unfinished", Unfinished)
