"""Keyed state of the promotions job, version 1: a version byte, then a msgpack array [revision]."""

from __future__ import annotations

import msgspec

from tillstream.domain.promotion_copies import Known

CURRENT = 1
_MARK = bytes([CURRENT])


class UnknownVersion(ValueError):
    """State written by a later release, or not by this product at all."""


def encode(known: Known) -> bytes:
    """What is known, in the current version's layout."""
    return _MARK + msgspec.msgpack.encode(known)


def decode(data: bytes) -> Known:
    """Raises UnknownVersion for a later version, ValueError for bytes that are none of ours."""
    if data[:1] != _MARK:
        raise UnknownVersion(f"promotion_known state is not of version {CURRENT}: {data[:1]!r}")
    try:
        return msgspec.msgpack.decode(data[1:], type=Known)
    except msgspec.DecodeError as error:
        raise ValueError(f"promotion_known v{CURRENT}: {error}") from None
