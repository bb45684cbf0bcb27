"""Version 1, as it was released."""

from __future__ import annotations

import msgspec


class Known(msgspec.Struct, array_like=True, gc=False):
    """The newest revision passed on."""

    revision: int = 0
