"""Keyed state of the fraud job: what cashiers' days in a store come to.

The rules' ``StoreBook`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.staff_case import StoreBook
from tillstream.state_schemas.keyed.fraud_store import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout


def _upgrade(old: v1.StoreBook) -> StoreBook:
    """What they came to is not known: the next finding writes the case again, and tells nobody."""
    return StoreBook(old.days, dict.fromkeys(old.told, 0))


def _downgrade(new: StoreBook) -> v1.StoreBook:
    return v1.StoreBook(new.days, list(new.told))


CODEC = Codec(
    "fraud_store", StoreBook, [Layout(1, v1.StoreBook), Layout(2, StoreBook, _upgrade, _downgrade)]
)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
