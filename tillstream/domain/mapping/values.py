"""One value of a transaction, out of a vendor's document."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, DecimalException
from hashlib import sha256
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tillstream.domain.mapping.paths import Path, Scope, text_of
from tillstream.domain.mapping.spec import (
    SOURCES,
    MappingProblem,
    MappingSpec,
    Scalar,
    Value,
    ValueSpec,
)
from tillstream.domain.receipt.amounts import NotExact, minor_units
from tillstream.domain.receipt.front_door import StorePlace
from tillstream.domain.transaction import InvalidTransaction

UTC = "UTC"
FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class Record(NamedTuple):
    """What is known of the record at hand. exponent: decimals of its currency; sign: +1 or -1."""

    raw: bytes
    place: StorePlace | None = None
    exponent: int = 2
    sign: int = 1


Get = Callable[[Scope, Record, int], Scalar | Decimal | None]
Read = Callable[[Scope, Record, int], Any]
Where = tuple[str | int, ...]


class Numbers(NamedTuple):
    """How a mapping's numbers are written."""

    decimal: str
    group: str

    def read(self, value: object) -> Decimal:
        """Raises ValueError."""
        if isinstance(value, Decimal | int) and not isinstance(value, bool):
            return Decimal(value)
        text = str(value).replace("\u00a0", " ").strip()
        if self.group:
            text = text.replace(self.group, "")
        if self.decimal != ".":
            text = text.replace(self.decimal, ".")
        if not re.fullmatch(r"[+-]?[0-9]*\.?[0-9]+|[+-]?[0-9]+\.", text):
            raise ValueError("is not a decimal number")
        try:
            return Decimal(text)
        except DecimalException:
            raise ValueError("is not a decimal number") from None


def source(value: Value, where: Where, spec: MappingSpec) -> Get:
    """Finds the value as it is in the document. Raises MappingProblem if ``value`` cannot be used."""
    if isinstance(value, bool | int):
        fixed = value
        return lambda scope, record, at: fixed
    if isinstance(value, str):
        value = ValueSpec(path=value)
    said = [name for name in SOURCES if getattr(value, name) is not None]
    if len(said) != 1:
        told = " and ".join(said) or "none"
        raise MappingProblem(where, f"says {told}, but must say one of {', '.join(SOURCES)}")
    return _changed(_found(value, said[0], where, spec), value, where)


def _found(value: ValueSpec, kind: str, where: Where, spec: MappingSpec) -> Get:
    if kind == "path":
        return _one(_path(value.path or "", where))
    if kind == "const":
        return lambda scope, record, at: value.const
    if kind == "store":
        column = value.store or ""
        return lambda scope, record, at: getattr(record.place, column) if record.place else None
    if kind == "position":
        return lambda scope, record, at: at
    if kind == "digest":
        return lambda scope, record, at: sha256(record.raw).hexdigest()[: value.digest]
    if kind == "template":
        return _template(value.template or "", where)
    if kind == "add":
        paths = [_path(text, where) for text in value.add or ()]
        numbers = Numbers(spec.decimal, spec.group)
        return lambda scope, record, at: sum(
            (numbers.read(text_of(leaf) or "0") for path in paths for leaf in path.all(scope)),
            Decimal(0),
        )
    several = [source(one, (*where, "first", n), spec) for n, one in enumerate(value.first or ())]

    def first(scope: Scope, record: Record, at: int) -> Scalar | Decimal | None:
        for get in several:
            if (found := get(scope, record, at)) is not None:
                return found
        return None

    return first


def _path(text: str, where: Where) -> Path:
    try:
        return Path(text)
    except ValueError as error:
        raise MappingProblem(where, str(error)) from None


def _one(path: Path) -> Get:
    def get(scope: Scope, record: Record, at: int) -> Scalar | Decimal | None:
        found = path.all(scope)
        if len(found) > 1:
            raise ValueError(f"is there {len(found)} times at {path.text}")
        if not found:
            return None
        if isinstance(found[0], bool | int | Decimal):
            return found[0]
        text = text_of(found[0])
        if text is None:
            raise ValueError(f"is no single value at {path.text}")
        return text or None

    return get


def _template(text: str, where: Where) -> Get:
    parts = re.split(r"\{([^{}]*)\}", text)
    plain, gets = parts[::2], [_one(_path(inner, where)) for inner in parts[1::2]]

    def get(scope: Scope, record: Record, at: int) -> str | None:
        found = [one(scope, record, at) for one in gets]
        if any(value is None for value in found):
            return None
        middle = (f"{value}{after}" for value, after in zip(found, plain[1:], strict=True))
        return plain[0] + "".join(middle)

    return get


def _changed(get: Get, value: ValueSpec, where: Where) -> Get:
    """What is done to a text that was found."""
    if not (value.match or value.drop or value.table is not None):
        return get
    try:
        match = re.compile(value.match or "")
    except re.error as error:
        raise MappingProblem((*where, "match"), f"is no regular expression: {error}") from None
    if value.match and match.groups != 1:
        raise MappingProblem((*where, "match"), "must have one group, in round brackets")
    drop = str.maketrans("", "", value.drop)

    def changed(scope: Scope, record: Record, at: int) -> Scalar | Decimal | None:
        found = get(scope, record, at)
        text = text_of(found)
        if value.match and text is not None:
            hit = match.search(text)
            found = text = (hit[1] or None) if hit else None
        if value.drop and text is not None:
            found = text = text.translate(drop) or None
        if value.table is not None:
            found = value.otherwise if text is None else value.table.get(text, value.otherwise)
            if found is None and text is not None:
                raise ValueError("is not in the mapping's table")
        return found

    return changed


def reader(kind: str, value: Value, where: Where, spec: MappingSpec) -> Read:
    """Reads a value as ``kind`` says (see mapper.RECEIPT). Raises MappingProblem; what it gives raises
    ValueError for a value that is not of the kind."""
    get = source(value, where, spec)
    said = value if isinstance(value, ValueSpec) else ValueSpec()
    numbers = Numbers(spec.decimal, spec.group)

    def number(found: object) -> Decimal:
        read = numbers.read(found)
        read = abs(read) if said.absolute else read
        return -read if said.negate else read

    def money(found: object, record: Record) -> int:
        return minor_units(number(found), 0 if said.minor else record.exponent)

    def whole(found: object, record: Record) -> int:
        read = number(found)
        if read != read.to_integral_value():
            raise ValueError("is not a whole number")
        return int(read)

    def flag(found: object, record: Record) -> bool:
        text = (text_of(found) or "").lower()
        if text not in FLAGS:
            raise ValueError("is neither yes nor no")
        return FLAGS[text]

    kinds: dict[str, Callable[[Any, Record], Any]] = {
        "text": lambda found, record: text_of(found),
        "money": money,
        "signed": lambda found, record: record.sign * money(found, record),
        "price": lambda found, record: number(found).scaleb(0 if said.minor else record.exponent),
        "decimal": lambda found, record: number(found),
        "whole": whole,
        "flag": flag,
        "time": lambda found, record: moment(text_of(found) or "", said, record.place),
        "day": lambda found, record: day(text_of(found) or "", said.format),
    }
    made = kinds[kind]

    def read(scope: Scope, record: Record, at: int) -> Any:
        found = get(scope, record, at)
        return None if found is None else made(found, record)

    return read


def moment(text: str, said: ValueSpec, place: StorePlace | None) -> datetime:
    """A time with its offset. Raises ValueError."""
    try:
        found = _by_format(text, said.format) if said.format else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"is not a time as {said.format or 'ISO 8601'} has it") from None
    zone = place.zone if place else None
    if said.zone != "store":
        zone = said.zone
    if found.tzinfo is not None:  # shown by the store's clocks from here on
        return found.astimezone(ZoneInfo(place.zone)) if place else found
    if zone is None:
        raise ValueError("has no zone, and its store is not in the table of stores")
    return found.replace(tzinfo=ZoneInfo(zone))


def day(text: str, form: str | None) -> date:
    """Raises ValueError."""
    try:
        return _by_format(text, form).date() if form else date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"is not a date as {form or 'ISO 8601'} has it") from None


def _by_format(text: str, form: str) -> datetime:
    return datetime.strptime(text, form)  # noqa: DTZ007 - its zone is the store's


def wrong(where: str, error: Exception) -> InvalidTransaction:
    """Of a value that cannot be read, by where it was to go."""
    assert isinstance(error, ValueError | NotExact)
    return InvalidTransaction("wrong_type", f"{where} {error}")
