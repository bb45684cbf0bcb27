"""Keyed state of the fraud job: a till's or card's counts."""

from tillstream.state_schemas.keyed.fraud_counters.codec import CODEC
from tillstream.state_schemas.keyed.versioned import UnknownVersion

CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
