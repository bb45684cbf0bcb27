"""Bytes of a store's watch: one version byte, then that version's body.

Body of version 1: a msgpack array, fields by position::

    [region, newest_ms, looked_ms, offline_ms, wake_ms, version, demand,
     {product: [[promotion_id, revision, start_ms, end_ms, uplift_percent], ...]}, uplifts_until_ms,
     ring, {product: shelf}]
    shelf = [demand, appeal, sold_ms, stock | nil, stock_version, stock_ms, status, since_ms,
             episode_day, episode, told_ms]
    demand = [day, [24 counts] or [], absent, uplift, uplift_before, uplift_hour, excess, weight,
              squares, units, 86 float32]
    appeal = [[24 counts], since_hour, since_baskets, shape, rate, carried, carried_baskets, days,
              excess, weight, 48 float32]

float32 are little-endian, as bytes. A shelf is decoded when it is first looked at, so that a basket
without bread does not pay for the bread shelf.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tillstream.domain.demand import Demand
from tillstream.domain.promotion import Promotion
from tillstream.domain.shortage import Shelf, StoreWatch

CURRENT = 1
_MARK = bytes([CURRENT])


class UnknownVersion(ValueError):
    """State written by a later release, or not by this product at all."""


class Shelves(dict[str, Any]):
    """product -> Shelf, each decoded when it is first asked for."""

    def __getitem__(self, product: str) -> Shelf:
        shelf = super().__getitem__(product)
        if type(shelf) is msgspec.Raw:
            shelf = self[product] = _shelf.decode(shelf)
        return shelf


class _Stored(msgspec.Struct, array_like=True):
    """A StoreWatch whose shelves are still bytes; its fields in the same order."""

    region: str
    newest_ms: int
    looked_ms: int
    offline_ms: int
    wake_ms: int
    version: int
    traffic: Demand
    promotions: dict[str, list[Promotion]]
    uplifts_until_ms: int
    ring: bytes
    shelves: dict[str, msgspec.Raw]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Stored)
_shelf = msgspec.msgpack.Decoder(Shelf)


def encode(watch: StoreWatch) -> bytes:
    """The watch in the current version's layout."""
    buffer = bytearray(_MARK)
    _encoder.encode_into(watch, buffer, 1)
    return bytes(buffer)


def decode(data: bytes) -> StoreWatch:
    """The watch in ``data``.

    Raises UnknownVersion for a later version, ValueError for bytes that are no watch.
    """
    if data[:1] == _MARK:
        try:
            stored = _decoder.decode(memoryview(data)[1:])
        except msgspec.DecodeError as error:
            raise ValueError(f"store_watch v{CURRENT}: {error}") from None
        return StoreWatch(
            stored.region,
            stored.newest_ms,
            stored.looked_ms,
            stored.offline_ms,
            stored.wake_ms,
            stored.version,
            stored.traffic,
            stored.promotions,
            stored.uplifts_until_ms,
            stored.ring,
            Shelves(stored.shelves),
        )
    found = data[0] if data else None
    raise UnknownVersion(
        f"store_watch state has version {found}, this release reads up to {CURRENT}: "
        "restore with the release that wrote it, or a later one"
    )
