"""Keyed state of the inventory job: one stock a store and product."""

from tillstream.state_schemas.keyed.stock.codec import CODEC
from tillstream.state_schemas.keyed.versioned import UnknownVersion

CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
