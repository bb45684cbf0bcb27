"""Keyed state of the fraud job: what is remembered of a subject. ``encode`` writes the current version."""

from state_schemas.fraud_profile.codec import CURRENT, UnknownVersion, decode, encode

__all__ = ["CURRENT", "UnknownVersion", "decode", "encode"]
