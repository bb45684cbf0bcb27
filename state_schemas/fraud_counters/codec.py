"""Bytes of what is counted of a till or a card: one version byte, then that version's body.

Body of version 1: the domain's ``Counters`` as a msgpack array, fields by position; the golden bytes
hold it still. When it changes, the layout before it moves into a module of its own (``v1.py``) with an
``upgrade``, and ``CURRENT`` counts on.
"""

from __future__ import annotations

import msgspec

from tillstream.domain.fraud import Counters

CURRENT = 1
_MARK = bytes([CURRENT])
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Counters)


class UnknownVersion(ValueError):
    """State written by a later release, or not by this product at all."""


def encode(state: Counters) -> bytes:
    """The state in the current version's layout."""
    buffer = bytearray(_MARK)
    _encoder.encode_into(state, buffer, 1)
    return bytes(buffer)


def decode(data: bytes) -> Counters:
    """The state in ``data``.

    Raises UnknownVersion for a later version, ValueError for bytes that are none.
    """
    if data[:1] == _MARK:
        try:
            return _decoder.decode(memoryview(data)[1:])
        except msgspec.DecodeError as error:
            raise ValueError(f"fraud_counters v{CURRENT}: {error}") from None
    found = data[0] if data else None
    raise UnknownVersion(
        f"fraud_counters state has version {found}, this release reads up to {CURRENT}: "
        "restore with the release that wrote it, or a later one"
    )
