"""Keyed state of the regional stage: one product in one region."""

from tillstream.state_schemas.keyed.shortage_area.codec import CODEC
from tillstream.state_schemas.keyed.versioned import UnknownVersion

CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
