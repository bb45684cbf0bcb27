"""Times as people write and read them: every command's spans, moments, ages and clocks. UTC unless said."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

MINUTE_MS = 60_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def span_s(text: str) -> int:
    """Seconds of ``90s``, ``15m``, ``1h`` or ``1d``. Raises ValueError."""
    match = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if not match or not int(match[1]):
        raise ValueError(f"{text!r} is not a time span: write 90s, 15m, 1h or 1d")
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
    """2026-11-24 08:00:00Z."""
    return f"{_at(at_ms):%Y-%m-%d %H:%M:%SZ}"


def minute(at_ms: int, zone: str = "UTC") -> str:
    """2026-11-24 08:00, by the clocks of an IANA zone."""
    return f"{datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def clock(at_ms: int, zone: str = "UTC") -> str:
    """08:00, by the clocks of an IANA zone."""
    return minute(at_ms, zone)[-5:]


def ago(at_ms: int) -> str:
    return f"{(now_ms() - at_ms) / 1000:.0f} s ago"


def _at(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


class _Span(click.ParamType):
    """An option in seconds, written ``90s``, ``15m``, ``1h`` or ``1d``."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return span_s(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Moment(click.ParamType):
    """An option in ms since the epoch, written ``2h`` (ago) or as an ISO time."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        at = value if isinstance(value, int) else moment_ms(value, now_ms())
        if at is None:
            self.fail(f"{value!r} is not a time: write 30m, 2h, or 2026-11-24T08:00", param, ctx)
        return at


SPAN = _Span()
MOMENT = _Moment()
