"""Version 1 of the archive's mark, released with 0.1.0 and frozen: an empty array; being there says all."""

from __future__ import annotations

import msgspec


class Mark(msgspec.Struct, array_like=True, gc=False):
    """This transaction id is in the archive."""
