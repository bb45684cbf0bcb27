"""Version 1, as it was released."""

from __future__ import annotations

import msgspec


class Mark(msgspec.Struct, array_like=True, gc=False):
    """This transaction id is in the archive: being there says all."""
