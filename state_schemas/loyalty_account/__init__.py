"""Keyed state of the loyalty job: one account a customer."""

from state_schemas.loyalty_account.codec import CODEC
from state_schemas.versioned import UnknownVersion

CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode

__all__ = ["CODEC", "CURRENT", "UnknownVersion", "decode", "encode"]
