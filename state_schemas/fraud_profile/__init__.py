"""Keyed state of the fraud job: what is remembered of a subject."""

from state_schemas.fraud_profile.codec import CODEC
from state_schemas.versioned import UnknownVersion

CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
