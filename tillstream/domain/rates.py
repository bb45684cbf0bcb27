"""Amounts in another currency, exact and the same every time: by a dated table, at the amount's own date."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from tillstream.domain.receipt.amounts import DECIMALS

DAY_MS = 86_400_000
MOST_CACHED = 10_000


class Rate(NamedTuple):
    """day: since 1970 UTC, from which on it counts. per_base: so much of ``currency`` is one of the base."""

    day: int
    currency: str
    per_base: Fraction


class Rates:
    """own: the grocer's currency. Of one currency's rates the latest on or before a day counts."""

    def __init__(self, own: str, rates: Iterable[Rate] = ()) -> None:
        self.own = own
        self._days: dict[str, list[int]] = defaultdict(list)
        self._rates: dict[str, list[Fraction]] = defaultdict(list)
        for day, currency, per_base in sorted(rates):
            self._days[currency].append(day)
            self._rates[currency].append(per_base)
        self._factors: dict[tuple[str, str, int], tuple[int, int] | None] = {}

    def convert(self, minor: int, of: str, to: str, at_ms: int) -> int | None:
        """Minor units of ``of`` in those of ``to``, half a unit rounded up; None where a rate is missing.
        The same currency needs none."""
        if of == to:
            return minor
        factor = self._factor(of, to, at_ms // DAY_MS)
        if factor is None:
            return None
        above, below = factor
        return (2 * minor * above + below) // (2 * below)

    def _factor(self, of: str, to: str, day: int) -> tuple[int, int] | None:
        key = of, to, day
        if key not in self._factors:
            if len(self._factors) >= MOST_CACHED:
                self._factors.clear()
            first, second = self._at(of, day), self._at(to, day)
            found = None
            if first is not None and second is not None:
                scale = Fraction(10) ** (DECIMALS[to] - DECIMALS[of])
                found = (second / first * scale).as_integer_ratio()
            self._factors[key] = found
        return self._factors[key]

    def _at(self, currency: str, day: int) -> Fraction | None:
        if currency not in self._days or currency not in DECIMALS:
            return None
        place = bisect_right(self._days[currency], day) - 1
        return self._rates[currency][place] if place >= 0 else None


class OneCurrency(Rates):
    """For data that has one currency only: amounts stay as they are, whatever it is called."""

    def convert(self, minor: int, of: str, to: str, at_ms: int) -> int | None:
        return minor


ONE_CURRENCY = OneCurrency("")
