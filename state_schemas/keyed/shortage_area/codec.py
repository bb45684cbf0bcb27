"""The versions of a region's area, oldest first. The rules' ``Area`` is the newest of them."""

from __future__ import annotations

from tillstream.domain.shortage.regional import Area
from tillstream.state_schemas.keyed.shortage_area import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec("shortage_area", Area, [Layout(1, v1.Area)])
