"""One value of a transaction, out of a vendor's document."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, DecimalException
from hashlib import sha256
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tillstream.domain.mapping.conditions import Holds, holds, path
from tillstream.domain.mapping.forms import (
    NoId,
    Numbers,
    check_format,
    day,
    identity,
    moment,
    plain,
    printed,
    slug,
)
from tillstream.domain.mapping.paths import Path, Scope, is_blank, text_of
from tillstream.domain.mapping.spec import (
    ON_NUMBERS,
    ON_TEXTS,
    ON_TIMES,
    SOURCES,
    MappingProblem,
    MappingSpec,
    Scalar,
    Value,
    ValueSpec,
    Where,
)
from tillstream.domain.mapping.trees import compiled
from tillstream.domain.receipt.amounts import NotExact, minor_units
from tillstream.domain.receipt.front_door import StorePlace
from tillstream.domain.transaction import InvalidTransaction

FLAGS = {"true": True, "1": True, "yes": True, "y": True, "false": False, "0": False, "no": False,
         "n": False}  # fmt: skip
THOUSANDTH = Decimal("0.001")
LONGEST_TEXT = 300  # that a pattern is tried on
NUMBERS = frozenset({"money", "signed", "price", "decimal", "whole"})
MONEY = frozenset({"money", "signed", "price"})
TIMES = frozenset({"time", "day"})


class Record(NamedTuple):
    """What is known of the record at hand. identity: what it says, for a digest; exponent: decimals of its
    currency; sign: +1 or -1; later: of two equal hours the second is meant."""

    identity: bytes
    place: StorePlace | None = None
    exponent: int = 2
    sign: int = 1
    later: bool = False


Get = Callable[[Scope, Record, int], Scalar | Decimal | None]
Read = Callable[[Scope, Record, int], Any]


def reader(kind: str, value: Value, where: Where, spec: MappingSpec) -> Read:
    """Reads a value as ``kind`` says (see fields.RECEIPT). Raises MappingProblem; what it gives raises
    ValueError for a value that is not of the kind."""
    said = of(value, where, kind)
    if said.first is not None:
        several = [
            reader(kind, one, (*where, "first", n), spec) for n, one in enumerate(said.first)
        ]
        read = _first(several)
    else:
        read = _typed(kind, said, where, spec)
    if said.when is None:
        return read
    applies = holds(said.when, (*where, "when"), numbers_of(spec))

    def conditional(scope: Scope, record: Record, at: int) -> Any:
        return read(scope, record, at) if applies(scope) else None

    return conditional


def of(value: Value, where: Where, kind: str) -> ValueSpec:
    """A value as a spec. Raises MappingProblem where it says nothing sensible for its kind."""
    if isinstance(value, bool | int):
        return ValueSpec(const=value)
    if isinstance(value, str):
        return ValueSpec(path=value)
    said = [name for name in SOURCES if getattr(value, name) is not None]
    if len(said) != 1:
        told = " and ".join(said) or "none"
        raise MappingProblem(where, f"says {told}, but must say one of {', '.join(SOURCES)}")
    plain, called = ValueSpec(), "text" if kind == "id" else kind
    for names, wanted in ((ON_NUMBERS, NUMBERS), (("minor",), MONEY), (ON_TIMES, TIMES)):
        for name in names:
            if getattr(value, name) != getattr(plain, name) and kind not in wanted:
                raise MappingProblem((*where, name), f"has no meaning for a {called}")
    if value.first is not None:
        for name in (*ON_TEXTS, *ON_NUMBERS, *ON_TIMES):
            if getattr(value, name) != getattr(plain, name):
                raise MappingProblem((*where, name), "goes into each of `first` that it is for")
    if value.format is not None:
        check_format(value.format, (*where, "format"), hours=kind == "time")
    if value.zone not in (None, "store"):
        try:
            ZoneInfo(value.zone or "")
        except (LookupError, ValueError, OSError):
            raise MappingProblem((*where, "zone"), "is no IANA time zone") from None
    return value


def _first(several: list[Read]) -> Read:
    def read(scope: Scope, record: Record, at: int) -> Any:
        for one in several:
            if (found := one(scope, record, at)) is not None:
                return found
        return None

    return read


def _typed(kind: str, said: ValueSpec, where: Where, spec: MappingSpec) -> Read:
    numbers = numbers_of(spec)
    get = _changed(_found(said, where, spec), said, where)
    factor = _factor(said, where, numbers)

    def number(found: object, scope: Scope) -> Decimal:
        read = numbers.read(found)
        read = abs(read) if said.absolute else read
        read = -read if said.negate else read
        return read if factor is None else read * factor(scope)

    def money(found: object, record: Record, scope: Scope) -> int:
        exact, decimals = number(found, scope), 0 if said.minor else record.exponent
        if said.round:
            exact = exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
        return minor_units(exact, decimals)

    def price(found: object, record: Record, scope: Scope) -> Decimal:
        return plain(number(found, scope).scaleb(0 if said.minor else record.exponent))

    def decimal(found: object, record: Record, scope: Scope) -> Decimal:
        exact = number(found, scope)
        return plain(exact.quantize(THOUSANDTH, ROUND_HALF_UP) if said.round else exact)

    def whole(found: object, record: Record, scope: Scope) -> int:
        read = number(found, scope)
        if said.round:
            read = read.to_integral_value(ROUND_HALF_UP)
        if read != read.to_integral_value():
            raise ValueError("is not a whole number")
        return int(read)

    def flag(found: object, record: Record, scope: Scope) -> bool:
        text = (text_of(found) or "").lower()
        if text not in FLAGS:
            raise ValueError("is neither yes nor no")
        return FLAGS[text]

    kinds: dict[str, Callable[[Any, Record, Scope], Any]] = {
        "text": lambda found, record, scope: text_of(found),
        "id": lambda found, record, scope: identity(text_of(found) or ""),
        "printed": lambda found, record, scope: printed(text_of(found) or ""),
        "slug": lambda found, record, scope: slug(text_of(found) or ""),
        "money": money,
        "signed": lambda found, record, scope: record.sign * money(found, record, scope),
        "price": price,
        "decimal": decimal,
        "whole": whole,
        "flag": flag,
        "time": lambda found, record, scope: moment(
            text_of(found) or "", said, record.place, record.later
        ),
        "day": lambda found, record, scope: day(text_of(found) or "", said.format),
    }
    made = kinds[kind]

    def read(scope: Scope, record: Record, at: int) -> Any:
        try:
            found = get(scope, record, at)
        except (DecimalException, OverflowError):
            raise ValueError("is too large or too fine to be kept exactly") from None
        if found is None:
            return None
        try:
            return made(found, record, scope)
        except (DecimalException, OverflowError):
            raise Unreadable("is too large or too fine to be kept exactly", found) from None
        except ValueError as error:
            raise Unreadable(str(error), found) from error

    return read


def _factor(said: ValueSpec, where: Where, numbers: Numbers) -> Callable[[Scope], Decimal] | None:
    if said.times is None:
        return None
    if isinstance(said.times, int) or re.fullmatch(r"[0-9]+\.[0-9]+", said.times):
        fixed = Decimal(said.times)
        return lambda scope: fixed
    get = _one(path(said.times, (*where, "times")))

    def factor(scope: Scope) -> Decimal:
        found = get(scope, NOTHING, 1)
        if found is None:
            raise ValueError("is to be multiplied by what is not there")
        return numbers.read(found)

    return factor


NOTHING = Record(b"")


def numbers_of(spec: MappingSpec) -> Numbers:
    """Raises MappingProblem."""
    try:
        return Numbers(spec.decimal, spec.group)
    except ValueError as error:
        raise MappingProblem(("group",), str(error)) from None


def _found(said: ValueSpec, where: Where, spec: MappingSpec) -> Get:
    """Finds the value as it is in the document."""
    if said.path is not None:
        return _one(path(said.path, where))
    if said.const is not None:
        fixed = said.const
        return lambda scope, record, at: fixed
    if said.store is not None:
        column = said.store
        return lambda scope, record, at: getattr(record.place, column) if record.place else None
    if said.position is not None:
        return lambda scope, record, at: at
    if said.digest is not None:
        digits = said.digest
        return lambda scope, record, at: sha256(record.identity).hexdigest()[:digits]
    if said.template is not None:
        return _template(said.template, where)
    if said.add is not None:
        return _sum(said.add, where, spec)
    raise MappingProblem(
        where, "is made at the end: only a total is computed, a rounding a remainder"
    )


def _one(found_by: Path) -> Get:
    def get(scope: Scope, record: Record, at: int) -> Scalar | Decimal | None:
        found = [one for one in found_by.all(scope) if not is_blank(one)]
        if len(found) > 1:
            raise ValueError(f"is there {len(found)} times at {found_by.text}")
        if not found:
            return None
        if isinstance(found[0], bool | int | Decimal):
            return found[0]
        text = text_of(found[0])
        if text is None:
            raise ValueError(f"is no single value at {found_by.text}")
        return text or None

    return get


def _sum(parts: tuple[Scalar | ValueSpec, ...], where: Where, spec: MappingSpec) -> Get:
    """Of everything that each part finds, read as a number by the part's own words. Its `when` and `times`
    begin at the element at hand, as they do everywhere."""
    reads: list[Callable[[Scope, Record, int], Decimal]] = []
    for n, part in enumerate(parts):
        said = of(part, (*where, "add", n), "decimal")
        place = (*where, "add", n)
        if said.path is None:
            read = reader("decimal", said, place, spec)
            reads.append(lambda scope, record, at, read=read: read(scope, record, at) or Decimal(0))  # type: ignore[misc]
            continue
        found_by = path(said.path, place)
        of_leaf = reader("decimal", _here(said), place, spec)
        applies = holds(said.when or {}, (*place, "when"), numbers_of(spec))
        factor = _factor(said, place, numbers_of(spec))

        def total(
            scope: Scope,
            record: Record,
            at: int,
            found_by: Path = found_by,
            of_leaf: Read = of_leaf,
            applies: Holds = applies,
            factor: Callable[[Scope], Decimal] | None = factor,
            fine: bool = said.round,
        ) -> Decimal:
            leaves = found_by.all(scope) if applies(scope) else []
            found = [of_leaf(scope.at(leaf), record, at) for leaf in leaves]
            each: list[Decimal] = [one for one in found if one is not None]
            if factor and each:
                by = factor(scope)
                each = [one * by for one in each]
            if fine:
                each = [one.quantize(THOUSANDTH, ROUND_HALF_UP) for one in each]
            return sum(each, Decimal(0))

        reads.append(total)
    return lambda scope, record, at: sum((read(scope, record, at) for read in reads), Decimal(0))


def _here(said: ValueSpec) -> ValueSpec:
    changed = {name: getattr(said, name) for name in said.__struct_fields__}
    return ValueSpec(**changed | {"path": ".", "when": None, "times": None, "round": False})


def _template(text: str, where: Where) -> Get:
    parts = re.split(r"\{([^{}]*)\}", text)
    fixed, gets = parts[::2], [_one(path(inner, where)) for inner in parts[1::2]]

    def get(scope: Scope, record: Record, at: int) -> str | None:
        found = [one(scope, record, at) for one in gets]
        if any(value is None for value in found):
            return None
        middle = (f"{text_of(value)}{after}" for value, after in zip(found, fixed[1:], strict=True))
        return fixed[0] + "".join(middle)

    return get


def _changed(get: Get, said: ValueSpec, where: Where) -> Get:
    """What is done to a text that was found."""
    if said.otherwise is not None and said.table is None:
        raise MappingProblem((*where, "otherwise"), "belongs to a table")
    if all(getattr(said, name) == getattr(ValueSpec(), name) for name in ON_TEXTS):
        return get
    match = compiled(said.match or "", (*where, "match"))
    if said.match and match.groups != 1:
        raise MappingProblem((*where, "match"), "must have one group, in round brackets")
    drop = str.maketrans("", "", said.drop)

    def changed(scope: Scope, record: Record, at: int) -> Scalar | Decimal | None:
        found = get(scope, record, at)
        text = text_of(found)
        if said.match and text is not None:
            if len(text) > LONGEST_TEXT:
                raise ValueError("is too long for a pattern")
            hit = match.search(text)
            found = text = (hit[1] or None) if hit else None
        if said.drop and text is not None:
            found = text = text.translate(drop) or None
        if said.table is not None:
            found = said.otherwise if text is None else said.table.get(text, said.otherwise)
            if found is None and text is not None:
                raise Unreadable("is not in the mapping's table", text)
            text = text_of(found)
        if said.slug and text is not None:
            found = text = re.sub(r"[^0-9A-Za-z]+", "-", text).strip("-")[:64] or None
        if said.hash and text is not None:
            found = sha256(text.encode()).hexdigest()[: said.hash]
        return found

    return changed


class WrongValue(InvalidTransaction):
    """Of a value that cannot be read, by where it was to go. ``found``: the value, which only whoever has
    the file may see."""

    found: str | None = None


class Unreadable(ValueError):
    """Of a value as it was found."""

    def __init__(self, message: str, found: object) -> None:
        super().__init__(message)
        self.found = found


def wrong(where: str, error: Exception) -> InvalidTransaction:
    """Of a value that cannot be read, by where it was to go."""
    assert isinstance(error, ValueError | NotExact)
    reason = "bad_format" if isinstance(error.__cause__, NoId) else "wrong_type"
    made = WrongValue(reason, f"{where} {error}")
    if isinstance(error, Unreadable):
        made.found = text_of(error.found)
    return made
