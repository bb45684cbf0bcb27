"""Version 2, which knows a revision's content."""

from __future__ import annotations

import msgspec


class Known(msgspec.Struct, array_like=True, gc=False):
    """The newest revision passed on, and its fingerprint."""

    revision: int = 0
    fingerprint: bytes = b""
