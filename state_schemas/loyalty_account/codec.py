"""Bytes of an account: one version byte, then that version's body.

Body of version 1: a msgpack array, fields by position, integers in msgpack's shortest form::

    [version, balance, newest_ms, floor_ms, oldest_ms,
     {transaction_id: [event_time_ms, total_cents, redeemed, refunded_cents,
                       cents_per_point, point_value_cents]},
     {sale's transaction_id: [[transaction_id, event_time_ms, kind, cents | nil,
                               total_cents, store, region], ...]}]

The current version's body is the domain's ``Account`` as it stands; the golden bytes hold it still.
When the account changes, the layout before it moves into a module of its own (``v1.py``) with an
``upgrade``, and ``CURRENT`` counts on.
"""

from __future__ import annotations

import msgspec

from tillstream.domain.loyalty import Account

CURRENT = 1
_MARK = bytes([CURRENT])
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Account)


class UnknownVersion(ValueError):
    """State written by a later release, or not by this product at all."""


def encode(account: Account) -> bytes:
    """The account in the current version's layout."""
    buffer = bytearray(_MARK)
    _encoder.encode_into(account, buffer, 1)
    return bytes(buffer)


def decode(data: bytes) -> Account:
    """The account in ``data``.

    Raises UnknownVersion for a later version, ValueError for bytes that are no account.
    """
    if data[:1] == _MARK:
        try:
            return _decoder.decode(memoryview(data)[1:])
        except msgspec.DecodeError as error:
            raise ValueError(f"loyalty_account v{CURRENT}: {error}") from None
    found = data[0] if data else None
    raise UnknownVersion(
        f"loyalty_account state has version {found}, this release reads up to {CURRENT}: "
        "restore with the release that wrote it, or a later one"
    )
