"""Keyed state of the archive job: one mark a transaction id, for as long as a repeat is to be known."""

from tillstream.state_schemas.keyed.archived_mark.codec import CODEC
from tillstream.state_schemas.keyed.archived_mark.v1 import Mark

__all__ = ["CODEC", "Mark"]
