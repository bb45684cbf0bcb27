"""Keyed state of the loyalty job: one account a customer. ``encode`` writes the current version."""

from state_schemas.loyalty_account.codec import CURRENT, UnknownVersion, decode, encode

__all__ = ["CURRENT", "UnknownVersion", "decode", "encode"]
