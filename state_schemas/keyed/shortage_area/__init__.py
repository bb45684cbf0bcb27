"""Keyed state of the regional stage: one product in one region.

The rules' ``Area`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.shortage.regional import Area
from tillstream.state_schemas.keyed.shortage_area import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec("shortage_area", Area, [Layout(1, v1.Area)])
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
