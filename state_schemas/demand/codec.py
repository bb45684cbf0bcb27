"""Bytes of a demand: one version byte, then that version's body.

Body of version 1: a msgpack array, fields by position::

    [day, [units by hour, 24 or none], absent, uplift, uplift_before, uplift_hour,
     excess, weight, squares, units, sums]

``sums`` is 344 bytes: 86 little-endian float32, units by weekday (7), days by weekday (7), units by
kind of day and hour (3 x 24). Jobs keep these bytes whole inside their own state, so a change here
is a new version here alone.
"""

from __future__ import annotations

import msgspec

from tillstream.domain.demand import Demand

CURRENT = 1
_MARK = bytes([CURRENT])
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Demand)
_SUMS_BYTES = 344


class UnknownVersion(ValueError):
    """State written by a later release, or not by this product at all."""


def encode(demand: Demand) -> bytes:
    """The demand in the current version's layout."""
    buffer = bytearray(_MARK)
    _encoder.encode_into(demand, buffer, 1)
    return bytes(buffer)


def decode(data: bytes | memoryview) -> Demand:
    """The demand in ``data``.

    Raises UnknownVersion for a later version, ValueError for bytes that are no demand.
    """
    if data[:1] == _MARK:
        try:
            demand = _decoder.decode(memoryview(data)[1:])
        except msgspec.DecodeError as error:
            raise ValueError(f"demand v{CURRENT}: {error}") from None
        if len(demand.hours) not in (0, 24) or len(demand.sums) != _SUMS_BYTES:
            raise ValueError(f"demand v{CURRENT}: hours or sums of a wrong length")
        return demand
    found = data[0] if data else None
    raise UnknownVersion(
        f"demand has version {found}, this release reads up to {CURRENT}: "
        "restore with the release that wrote it, or a later one"
    )
