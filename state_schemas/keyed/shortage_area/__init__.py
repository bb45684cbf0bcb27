"""Keyed state of the regional stage: one product in one region.

The rules' ``Area`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.shortage.regional import Area
from tillstream.state_schemas.keyed.versioned import Codec

CODEC = Codec("shortage_area", Area)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
