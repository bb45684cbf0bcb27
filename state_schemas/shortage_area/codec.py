"""Bytes of an area: one version byte, then that version's body.

Body of version 1: a msgpack array, fields by position (demand as in ``store_watch``)::

    [demand, {store: since_ms}, opened_ms, episode_day, episode, stores, version]
"""

from __future__ import annotations

import msgspec

from tillstream.domain.regional import Area

CURRENT = 1
_MARK = bytes([CURRENT])
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Area)


class UnknownVersion(ValueError):
    """State written by a later release, or not by this product at all."""


def encode(area: Area) -> bytes:
    """The area in the current version's layout."""
    buffer = bytearray(_MARK)
    _encoder.encode_into(area, buffer, 1)
    return bytes(buffer)


def decode(data: bytes) -> Area:
    """The area in ``data``.

    Raises UnknownVersion for a later version, ValueError for bytes that are no area.
    """
    if data[:1] == _MARK:
        try:
            return _decoder.decode(memoryview(data)[1:])
        except msgspec.DecodeError as error:
            raise ValueError(f"shortage_area v{CURRENT}: {error}") from None
    found = data[0] if data else None
    raise UnknownVersion(
        f"shortage_area state has version {found}, this release reads up to {CURRENT}: "
        "restore with the release that wrote it, or a later one"
    )
