"""Keyed state of the promotions job: the newest revision of each promotion."""

from state_schemas.promotion_known.codec import CODEC
from state_schemas.versioned import UnknownVersion

CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
