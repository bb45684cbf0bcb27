"""The versions of what is kept of a promotion, oldest first. The rules' ``Known`` is the newest."""

from __future__ import annotations

from state_schemas.promotion_known import v1
from state_schemas.versioned import Codec, Layout
from tillstream.domain.promotion_copies import Known

CODEC = Codec("promotion_known", Known, [Layout(1, v1.Known)])
