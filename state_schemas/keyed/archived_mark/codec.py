"""The versions of the archive's mark, oldest first."""

from __future__ import annotations

from tillstream.state_schemas.keyed.archived_mark import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec("archived_mark", v1.Mark, [Layout(1, v1.Mark)])
