"""Keyed state of the fraud job: what is remembered of a subject."""

from tillstream.state_schemas.keyed.fraud_profile.codec import CODEC
from tillstream.state_schemas.keyed.versioned import UnknownVersion

CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
