"""Keyed state of the archive job: one mark a transaction id, for as long as a repeat is to be known."""

from state_schemas.archived_mark.codec import CODEC
from state_schemas.archived_mark.v1 import Mark

__all__ = ["CODEC", "Mark"]
