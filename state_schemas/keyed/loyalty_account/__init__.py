"""Keyed state of the loyalty job: one account a customer."""

from tillstream.state_schemas.keyed.loyalty_account.codec import CODEC
from tillstream.state_schemas.keyed.versioned import UnknownVersion

CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
