"""Times, spans, sizes and money as people write and read them."""

from __future__ import annotations

import click
import pytest

from tillstream.cli import times
from tillstream.cli.sizes import human, money
from tillstream.cli.times import MOMENT, SPAN, ago, clock, minute, shown

T = 1_795_507_200_000  # 2026-11-24 08:00 UTC


def test_a_moment_is_shown_in_utc_or_on_a_stores_clock():
    assert shown(T) == "2026-11-24 08:00:00Z"
    assert minute(T) == "2026-11-24 08:00"
    assert minute(T, "Africa/Johannesburg") == "2026-11-24 10:00"
    assert clock(T, "Africa/Luanda") == "09:00"
    assert (clock(T, "Africa/Cairo"), clock(T - 150 * 86_400_000, "Africa/Cairo")) == (
        "10:00",
        "11:00",
    )


def test_an_age_counts_from_now(monkeypatch):
    monkeypatch.setattr(times, "now_ms", lambda: T + 4_400)
    assert ago(T) == "4 s ago"


def test_options_take_spans_and_moments(monkeypatch):
    monkeypatch.setattr(times, "now_ms", lambda: T)
    assert SPAN.convert("15m", None, None) == SPAN.convert(900, None, None) == 900
    assert MOMENT.convert("2h", None, None) == T - 7_200_000
    assert MOMENT.convert("2026-11-24T10:00+02:00", None, None) == T
    with pytest.raises(click.BadParameter, match="write 90s, 15m, 1h or 1d"):
        SPAN.convert("soon", None, None)
    with pytest.raises(click.BadParameter, match="write 30m, 2h"):
        MOMENT.convert("yesterday", None, None)


def test_sizes_and_money():
    assert [human(n) for n in (0, 999, 5_100, 448_100, 4_400_000_000)] == [
        "0 B", "999 B", "5.1 kB", "448.1 kB", "4.4 GB",
    ]  # fmt: skip
    assert money(12_499_00, "ZAR") == "12,499.00 ZAR"
