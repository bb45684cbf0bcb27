"""Version 1, which knows of a case only that it was told."""

from __future__ import annotations

import msgspec


class StoreBook(msgspec.Struct, array_like=True, gc=False):
    """See ``domain.staff_case``."""

    days: list[int]
    told: list[int]
