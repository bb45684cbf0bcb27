"""Keyed state of the shortage job: one watch a store."""

from state_schemas.store_watch.codec import CODEC, decode
from state_schemas.versioned import UnknownVersion

CURRENT, encode = CODEC.current, CODEC.encode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
