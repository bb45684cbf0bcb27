"""Texts of documents read as numbers, times, and what is printed for people."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from decimal import Decimal
from hashlib import sha256
from zoneinfo import ZoneInfo

from tillstream.domain.mapping.spec import MappingProblem, ValueSpec, Where
from tillstream.domain.receipt.front_door import StorePlace

LONGEST_NUMBER = 40  # digits
LONGEST_CODE = 64


class Numbers:
    """How a mapping's numbers are written. Raises ValueError for signs that cannot be told apart."""

    def __init__(self, decimal: str, group: str) -> None:
        if decimal == group:
            raise ValueError("is the sign of decimals too")
        self._decimal, self._group = decimal, group
        whole = rf"[0-9]{{1,3}}(?:{re.escape(group)}[0-9]{{3}})+|[0-9]+" if group else "[0-9]+"
        point = re.escape(decimal)
        form = rf"[+-]?(?:(?:{whole})(?:{point}[0-9]*)?|{point}[0-9]+)"
        self._form = re.compile(form, re.ASCII).fullmatch

    def read(self, value: object) -> Decimal:
        """A minus may be in front or behind, or be brackets around. Raises ValueError."""
        if isinstance(value, Decimal | int) and not isinstance(value, bool):
            return _kept(Decimal(value))
        text = str(value).replace("\u00a0", " ").strip()
        if len(text) > LONGEST_NUMBER:
            raise ValueError("is no number: it is too long")
        negative = text.endswith("-") or (text.startswith("(") and text.endswith(")"))
        if negative:
            text = text.strip("()").removesuffix("-").strip()
        if not self._form(text):
            raise ValueError("is not a decimal number")
        if self._group:
            text = text.replace(self._group, "")
        read = _kept(Decimal(text.replace(self._decimal, ".")))
        return -read if negative else read


def _kept(number: Decimal) -> Decimal:
    """Raises ValueError for one that no amount needs, and that would take all memory as an integer."""
    if not number.is_finite() or abs(number.adjusted()) > LONGEST_NUMBER:
        raise ValueError("is too large or too fine to be kept exactly")
    return number


def plain(number: Decimal) -> Decimal:
    """Without an exponent: 2.1E+3 is 2100."""
    return number if number.as_tuple().exponent <= 0 else number.quantize(Decimal(1))  # type: ignore[operator]


def printed(text: str) -> str | None:
    """What is printed for people, on one line of at most 64 signs: of a longer one the end is a hash of it,
    so that two of them stay two."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(plain) > LONGEST_CODE:
        plain = f"{plain[: LONGEST_CODE - 9]}~{sha256(plain.encode()).hexdigest()[:8]}"
    return plain or None


def slug(text: str) -> str | None:
    """A category or reason of any name: never a cause to refuse a basket."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    plain = plain if plain[:1].isalpha() else f"c-{plain}" if plain else ""
    return plain[:32].rstrip("-") or None


def moment(text: str, said: ValueSpec, place: StorePlace | None) -> datetime:
    """A time by the store's clock. Raises ValueError."""
    try:
        if not said.format and not _ISO(text):
            raise ValueError
        found = _by_format(text, said.format) if said.format else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"is not a time as {said.format or 'ISO 8601'} has it") from None
    if found.tzinfo is None:
        zone = said.zone if said.zone not in (None, "store") else place.zone if place else None
        if zone is None:
            raise ValueError("has no zone, and its store is not in the table of stores")
        found = found.replace(tzinfo=ZoneInfo(zone))
    found = found.astimezone(ZoneInfo(place.zone)) if place else found
    offset = found.utcoffset()
    assert offset is not None
    return found.replace(tzinfo=timezone(offset))  # as it is written: a zone's own may be two


def day(text: str, form: str | None) -> date:
    """Raises ValueError."""
    try:
        return _by_format(text, form).date() if form else date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"is not a date as {form or 'ISO 8601'} has it") from None


def check_format(form: str, where: Where) -> None:
    """Raises MappingProblem."""
    sample = datetime(2026, 11, 29, 13, 14, 15)  # noqa: DTZ001 - only whether the format can be used
    try:
        _by_format(sample.strftime(form), form)
    except (ValueError, re.error):
        raise MappingProblem(where, "is no format of a time as strptime has it") from None


def _by_format(text: str, form: str) -> datetime:
    return datetime.strptime(text, form)  # noqa: DTZ007 - its zone is the store's


_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}\S*").fullmatch
