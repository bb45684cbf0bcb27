"""Keyed state of the regional stage: one product in one region. ``encode`` writes the current version."""

from state_schemas.shortage_area.codec import CURRENT, UnknownVersion, decode, encode

__all__ = ["CURRENT", "UnknownVersion", "decode", "encode"]
