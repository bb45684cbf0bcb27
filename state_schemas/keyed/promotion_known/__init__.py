"""Keyed state of the promotions job: the newest revision of each promotion.

The rules' ``Known`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.promotions.copies import Known
from tillstream.state_schemas.keyed.promotion_known import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec("promotion_known", Known, [Layout(1, v1.Known)])
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
