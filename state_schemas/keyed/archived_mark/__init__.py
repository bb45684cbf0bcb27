"""Keyed state of the archive job: one mark for each transaction id, for as long as a repeat is to be known.

The rules' ``Mark`` is its newest version.
"""

from __future__ import annotations

from tillstream.state_schemas.keyed.archived_mark import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec("archived_mark", v1.Mark, [Layout(1, v1.Mark)])
Mark = v1.Mark
