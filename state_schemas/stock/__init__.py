"""Keyed state of the inventory job: one stock a store and product."""

from state_schemas.stock.codec import CODEC
from state_schemas.versioned import UnknownVersion

CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
