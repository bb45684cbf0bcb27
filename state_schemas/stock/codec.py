"""Bytes of a stock: one version byte, then that version's body.

Body of version 1: a msgpack array, fields by position, integers in msgpack's shortest form::

    [version, level, count_ms, count_id, newest_ms,
     [base_ms, floor_ms, lines (16 bytes each: hash, ms after base_ms, pieces), due],
     low, below_zero, lows, belows, orders, plan, reorder_point, order_up_to,
     terms_until_ms, no_order_before_ms,
     [day, units, empty, days, mean, variance],
     [[order_id, quantity, ordered_ms], ...],
     [[promotion_id, revision, start_ms, end_ms, uplift_percent], ...]]

The current version's body is the domain's ``Stock`` as it stands; the golden bytes hold it still.
When it changes, the layout before it moves into a module of its own (``v1.py``) with an ``upgrade``,
and ``CURRENT`` counts on.
"""

from __future__ import annotations

import msgspec

from tillstream.domain.stock import Stock

CURRENT = 1
_MARK = bytes([CURRENT])
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Stock)


class UnknownVersion(ValueError):
    """State written by a later release, or not by this product at all."""


def encode(stock: Stock) -> bytes:
    """The stock in the current version's layout."""
    return _MARK + _encoder.encode(stock)


def decode(data: bytes) -> Stock:
    """The stock in ``data``.

    Raises UnknownVersion for a later version, ValueError for bytes that are no stock.
    """
    if data[:1] == _MARK:
        try:
            return _decoder.decode(memoryview(data)[1:])
        except msgspec.DecodeError as error:
            raise ValueError(f"stock v{CURRENT}: {error}") from None
    found = data[0] if data else None
    raise UnknownVersion(
        f"stock state has version {found}, this release reads up to {CURRENT}: "
        "restore with the release that wrote it, or a later one"
    )
