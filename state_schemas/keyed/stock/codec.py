"""The versions of a stock, oldest first. The rules' ``Stock`` is the newest of them."""

from __future__ import annotations

from tillstream.domain.stock.ledger import Stock
from tillstream.state_schemas.keyed.stock import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec("stock", Stock, [Layout(1, v1.Stock)])
