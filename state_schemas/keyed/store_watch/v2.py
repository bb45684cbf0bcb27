"""Version 2: by whose clocks the hours were learnt. The steps work on any structs of these fields."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from tillstream.domain.shortage.shelves import StoreWatch
from tillstream.state_schemas.keyed.store_watch import v1

BEFORE = "Etc/GMT-2"  # IANA's name of the clock that version 1 went by, two hours ahead of UTC


def upgrade(old: Any) -> StoreWatch:
    return StoreWatch(**asdict(old), zone=BEFORE)


def downgrade(new: Any) -> v1.StoreWatch:
    """The release before takes the hours for those of its own clock; they fade as they are learnt."""
    fields = asdict(new)
    del fields["zone"]
    return v1.StoreWatch(**fields)
