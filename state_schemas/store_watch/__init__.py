"""Keyed state of the shortage job: one watch a store. ``encode`` writes the current version."""

from state_schemas.store_watch.codec import CURRENT, UnknownVersion, decode, encode

__all__ = ["CURRENT", "UnknownVersion", "decode", "encode"]
