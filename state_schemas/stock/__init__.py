"""Keyed state of the inventory job: one stock a store and product. ``encode`` writes the current version."""

from state_schemas.stock.codec import CURRENT, UnknownVersion, decode, encode

__all__ = ["CURRENT", "UnknownVersion", "decode", "encode"]
