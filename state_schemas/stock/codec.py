"""The versions of a stock, oldest first. The rules' ``Stock`` is the newest of them."""

from __future__ import annotations

from state_schemas.stock import v1
from state_schemas.versioned import Codec, Layout
from tillstream.domain.stock import Stock

CODEC = Codec("stock", Stock, [Layout(1, v1.Stock)])
