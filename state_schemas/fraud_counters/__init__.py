"""Keyed state of the fraud job: a till's or card's counts."""

from state_schemas.fraud_counters.codec import CODEC
from state_schemas.versioned import UnknownVersion

CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
