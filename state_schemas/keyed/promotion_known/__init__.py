"""Keyed state of the promotions job: the newest revision of each promotion.

The rules' ``Known`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.promotions.copies import Known
from tillstream.state_schemas.keyed.versioned import Codec

CODEC = Codec("promotion_known", Known)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
