"""The versions of a region's area, oldest first. The rules' ``Area`` is the newest of them."""

from __future__ import annotations

from state_schemas.shortage_area import v1
from state_schemas.versioned import Codec, Layout
from tillstream.domain.regional import Area

CODEC = Codec("shortage_area", Area, [Layout(1, v1.Area)])
