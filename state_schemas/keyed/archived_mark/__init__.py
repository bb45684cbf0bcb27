"""Keyed state of the archive job: one mark for each transaction id, while a repeat is to be known."""

from __future__ import annotations

import msgspec

from tillstream.state_schemas.keyed.versioned import Codec


class Mark(msgspec.Struct, array_like=True, gc=False):
    """This transaction id is in the archive: being there says all."""


CODEC = Codec("archived_mark", Mark)
