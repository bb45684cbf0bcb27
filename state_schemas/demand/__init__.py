"""What is known of a product's demand in a store, a part of other states. ``encode`` writes the
current version."""

from state_schemas.demand.codec import CURRENT, UnknownVersion, decode, encode

__all__ = ["CURRENT", "UnknownVersion", "decode", "encode"]
