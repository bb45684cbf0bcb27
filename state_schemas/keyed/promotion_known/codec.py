"""The versions of what is kept of a promotion, oldest first. The rules' ``Known`` is the newest."""

from __future__ import annotations

from tillstream.domain.promotions.copies import Known
from tillstream.state_schemas.keyed.promotion_known import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec("promotion_known", Known, [Layout(1, v1.Known)])
