"""Version 1 of what is kept of a promotion, released with 0.1.0 and frozen."""

from __future__ import annotations

import msgspec


class Known(msgspec.Struct, array_like=True, gc=False):
    """The newest revision passed on."""

    revision: int
