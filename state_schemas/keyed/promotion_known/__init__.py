"""Keyed state of the promotions job: the newest revision of each promotion."""

from tillstream.state_schemas.keyed.promotion_known.codec import CODEC
from tillstream.state_schemas.keyed.versioned import UnknownVersion

CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
