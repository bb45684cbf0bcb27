"""Sizes and money as people read them."""

from __future__ import annotations


def human(count: float) -> str:
    """4_400_000_000 -> 4.4 GB."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


def money(cents: int, currency: str) -> str:
    """1_234_50 -> 1,234.50 ZAR."""
    return f"{cents / 100:,.2f} {currency}"
