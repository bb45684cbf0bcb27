"""Keyed state of the shortage job: one watch for each store; ``StoreWatch`` is its newest version.

A shelf is decoded when it is first looked at, so that a basket without bread does not pay for the bread
shelf: ``decode`` here does that for the newest version, and leaves older ones to the codec.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tillstream.domain.shortage.shelves import Shelf, StoreWatch
from tillstream.state_schemas.keyed.store_watch import v1, v2
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec(
    "store_watch",
    StoreWatch,
    [Layout(1, v1.StoreWatch), Layout(2, StoreWatch, v2.upgrade, v2.downgrade)],
)


class Shelves(dict[str, Any]):
    """product -> Shelf, each decoded when it is first asked for."""

    def __getitem__(self, product: str) -> Shelf:
        shelf = super().__getitem__(product)
        if type(shelf) is msgspec.Raw:
            shelf = self[product] = _shelf.decode(shelf)
        return shelf


class _Stored(StoreWatch, array_like=True, gc=False, kw_only=True):
    """A StoreWatch whose shelves, its last field, are still bytes, and must be there."""

    shelves: dict[str, msgspec.Raw]  # type: ignore[assignment]


_stored = msgspec.msgpack.Decoder(_Stored)
_shelf = msgspec.msgpack.Decoder(Shelf)


def decode(data: bytes) -> StoreWatch:
    """As ``CODEC.decode``, without looking into the shelves."""
    if data[:1] != bytes([CODEC.current]):
        return CODEC.decode(data)
    try:
        stored = _stored.decode(memoryview(data)[1:])
    except msgspec.DecodeError as error:
        raise ValueError(f"store_watch v{CODEC.current}: {error}") from None
    stored.shelves = Shelves(stored.shelves)
    return StoreWatch(*msgspec.structs.astuple(stored))


CURRENT, encode = CODEC.current, CODEC.encode
