"""Which return of a receipt a correction takes back, for the check alone."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

Record = dict[str, Any]


def taken_back(lines: list[Record], at: int) -> Record:
    """The return that the correction ``at`` takes back, an empty line if none: the latest of the same size,
    else of the product. Corrections before it have had theirs."""
    free: dict[int, Record] = {}
    for n, line in enumerate(lines[: at + 1]):
        if line["kind"] != "return":
            continue
        if not line.get("correction"):
            free[n] = line
            continue
        fate = line["back"].get("fate", "shelf") if line.get("back") else None
        found, whole = -1, False
        for m, other in free.items():
            if _code(other) != _code(line) or fate not in (None, _said_fate(other)):
                continue
            same_size = _size(other) == _size(line) and other["amount"] == -line["amount"]
            if same_size or not whole:
                found, whole = m, same_size
        if n == at:
            return free.get(found, {})
        if whole:
            del free[found]
    return {}


def _code(line: Record) -> tuple[str, str]:
    return line.get("scheme", "gtin"), line.get("code", "")


def _said_fate(line: Record) -> str:
    return str((line.get("back") or {}).get("fate", "shelf"))


def _size(line: Record) -> tuple[Fraction, str]:
    return quantity(line), line.get("unit", "each")


def quantity(line: Record) -> Fraction:
    return Fraction(str(line.get("quantity", 1)))
