"""Keyed state of the inventory job: what a store's manager is to hear of its shelves together.

The rules' ``StoreDays`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.stock.store_day import StoreDays
from tillstream.state_schemas.keyed.versioned import Codec

CODEC = Codec("store_day", StoreDays)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
