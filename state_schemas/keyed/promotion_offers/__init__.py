"""Keyed state of the promotions job: what promotions ask for each product.

The rules' ``Offers`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.promotions.overlaps import Offers
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec("promotion_offers", Offers, [Layout(1, Offers)])
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
