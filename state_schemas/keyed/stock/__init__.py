"""Keyed state of the inventory job: one stock for each store and product.

The rules' ``Stock`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.stock.ledger import Stock
from tillstream.state_schemas.keyed.versioned import Codec

CODEC = Codec("stock", Stock)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
