"""Texts of documents read as numbers, times, and what is printed for people."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, DecimalException
from hashlib import sha256
from zoneinfo import ZoneInfo

from tillstream.domain.mapping.spec import MappingProblem, ValueSpec, Where
from tillstream.domain.receipt.contract import ID
from tillstream.domain.receipt.front_door import StorePlace

LONGEST_NUMBER = 40  # digits
LONGEST_CODE = 64
_BLANKS = dict.fromkeys((0xA0, 0x2009, 0x202F), " ")  # that keep a number on one line
EPOCH = {"epoch": 1, "epoch_ms": 1000}  # format: ticks per second since 1970


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
        """A minus may be in front or behind, or be brackets around: one of these. Raises ValueError."""
        if isinstance(value, Decimal | int) and not isinstance(value, bool):
            return _kept(Decimal(value))
        text = str(value).translate(_BLANKS).strip()
        if len(text) > LONGEST_NUMBER:
            raise ValueError("is no number: it is too long")
        negative = text.endswith("-") or (text.startswith("(") and text.endswith(")"))
        if negative:
            text = (text[:-1] if text.endswith("-") else text[1:-1]).strip()
        if not self._form(text) or (negative and text[:1] in "+-"):
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


class NoId(ValueError):
    """Of what is no id, as other systems have them too."""


def identity(text: str) -> str:
    """Raises NoId, which says how a mapping makes one."""
    if not _ID(text):
        raise NoId(
            "is not an id: 1 to 64 letters of a to z, digits and . _ : / -; `slug: true` makes one of it"
        )
    return text


def slug(text: str) -> str | None:
    """A category or reason of any name: never a cause to refuse a basket."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    plain = plain if plain[:1].isalpha() else f"c-{plain}" if plain else ""
    return plain[:32].rstrip("-") or None


def moment(text: str, said: ValueSpec, place: StorePlace | None, later: bool = False) -> datetime:
    """A time by the store's clock. ``later``: of the two hours that clocks show when they are set back the
    second. An hour that they skip is as if they had not been set forward yet. Raises ValueError."""
    if not said.format and _DATE(text):
        raise ValueError("is a date without a time")
    try:
        if not said.format and not _ISO(text):
            raise ValueError
        found = _moment(text, said)
    except (ValueError, OverflowError, DecimalException):
        raise ValueError(f"is not a time as {said.format or 'ISO 8601'} has it") from None
    if found.tzinfo is None:
        zone = said.zone if said.zone not in (None, "store") else place.zone if place else None
        if zone is None:
            raise ValueError("has no zone, and its store is not in the table of stores")
        found = found.replace(tzinfo=ZoneInfo(zone), fold=int(later))
    zone_there = ZoneInfo(place.zone) if place else found.tzinfo
    try:
        found = found.astimezone(UTC).astimezone(zone_there)  # out of an hour that is not there
    except OverflowError:
        raise ValueError("is out of all calendars") from None
    offset = found.utcoffset()
    assert offset is not None
    return found.replace(tzinfo=timezone(offset))  # as it is written: a zone's own may be two


def day(text: str, form: str | None) -> date:
    """Raises ValueError."""
    try:
        return _by_format(text, form).date() if form else date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"is not a date as {form or 'ISO 8601'} has it") from None


def _moment(text: str, said: ValueSpec) -> datetime:
    """Seconds since 1970 are UTC, or where a zone is said those that its clocks showed."""
    if said.format in EPOCH:
        ticks = Decimal(text) if _EPOCH(text) else None
        if ticks is None:
            raise ValueError
        found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
            microseconds=int(ticks * 1_000_000 / EPOCH[said.format])
        )
        return found if said.zone is None else found.replace(tzinfo=None)
    return _by_format(text, said.format) if said.format else datetime.fromisoformat(text)


def check_format(form: str, where: Where, hours: bool) -> None:
    """``hours``: a time is wanted, not a date. Raises MappingProblem."""
    if form in EPOCH:
        if not hours:
            raise MappingProblem(where, "is for times: a day has no seconds")
        return
    if "%Z" in form.replace("%%", ""):
        raise MappingProblem(
            where,
            "has %Z, but names of zones are not unique: write the name as text, and say `zone`",
        )
    sample = datetime(2026, 11, 29, 13, 14, 15, tzinfo=UTC)
    try:
        made = _by_format(sample.strftime(form), form)
    except (ValueError, re.error):
        raise MappingProblem(where, "is no format of a time as strptime has it") from None
    if made.date() != sample.date():
        raise MappingProblem(where, "must have a year, a month and a day")
    if hours and made.hour != sample.hour:
        what = "must have %p beside %I" if "%I" in form else "must have an hour"
        raise MappingProblem(where, f"{what}: where the file has none, put one into a template")


def _by_format(text: str, form: str) -> datetime:
    return datetime.strptime(text, form)  # noqa: DTZ007 - its zone is the store's


_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}\S*|[0-9]{8}T[0-9]{4}\S*"
).fullmatch
_ID = re.compile(ID).fullmatch
_DATE = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}").fullmatch
_EPOCH = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?").fullmatch
