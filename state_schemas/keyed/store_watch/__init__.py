"""Keyed state of the shortage job: one watch a store."""

from tillstream.state_schemas.keyed.store_watch.codec import CODEC, decode
from tillstream.state_schemas.keyed.versioned import UnknownVersion

CURRENT, encode = CODEC.current, CODEC.encode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
