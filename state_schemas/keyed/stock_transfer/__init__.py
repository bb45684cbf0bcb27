"""Keyed state of the inventory job: a transfer of which both ends do not agree, or not yet.

The rules' ``Transfer`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.stock.transfers import Transfer
from tillstream.state_schemas.keyed.versioned import Codec

CODEC = Codec("stock_transfer", Transfer)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
