"""Times as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def span_s(text: str) -> int:
    """Seconds of ``90s``, ``15m``, ``1h`` or ``1d``. Raises ValueError."""
    match = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if not match or not int(match[1]):
        raise ValueError(f"{text!r} is no time span: write 90s, 15m, 1h or 1d")
    return int(match[1]) * _UNITS[match[2]]


def moment_ms(text: str, now_ms: int) -> int | None:
    """Ms since the epoch of ``2h`` (ago) or an ISO time (UTC unless it says so); None if neither."""
    try:
        return now_ms - span_s(text) * 1000
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def shown(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%SZ}"
