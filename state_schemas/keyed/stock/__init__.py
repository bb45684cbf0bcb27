"""Keyed state of the inventory job: one stock for each store and product.

The rules' ``Stock`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.stock.ledger import Stock
from tillstream.state_schemas.keyed.stock import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec("stock", Stock, [Layout(1, v1.Stock)])
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
