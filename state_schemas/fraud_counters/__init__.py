"""Keyed state of the fraud job: what is counted of a till or card. ``encode`` writes the current version."""

from state_schemas.fraud_counters.codec import CURRENT, UnknownVersion, decode, encode

__all__ = ["CURRENT", "UnknownVersion", "decode", "encode"]
