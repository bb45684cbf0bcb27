"""What a mapping may say. docs/mappings.md explains it with examples; this is what is accepted.

A mapping is data: nothing in it is run. Fields of a transaction are set from values (`ValueSpec`); a value
that is only a text is a path.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{1,31}$")]
Word = Annotated[str, Meta(pattern="^[a-z_][a-z0-9_]{0,31}$")]
Scalar = str | int | bool
Where = tuple[str | int, ...]  # keys and positions from a mapping's top


class ValueSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Where a value comes from, exactly one of these, and how it is read.

    path; const; template (``{path}`` in braces); first: the first of these that is there; add: the sum of
    these, of everything that their paths find; store: of the grocer's own table; position: of the element,
    from 1; digest: so many hexadecimal digits of SHA-256 of the record. Of a total: computed, what the
    lines and the rest make. Of a rounding: remainder, what is missing to the total, if it is at most so
    many units.

    when: else the value is not there. match: a regular expression, of which the first group counts; drop:
    characters taken out; table: one text for another, otherwise: for those it does not have, and for none
    at all; slug: made an id; hash: a pseudonym in its place, of so many hexadecimal digits. Of numbers:
    absolute, negate; times: multiplied by a number or by what a path finds; round: to the unit, half away
    from 0; minor: money is in minor units. Of times and dates: format as strptime has it, or ``epoch`` or
    ``epoch_ms`` since 1970, of UTC; zone of one without, ``store`` for the store's own.
    """

    path: str | None = None
    const: Scalar | None = None
    template: str | None = None
    first: tuple[Scalar | ValueSpec, ...] | None = None
    add: tuple[Scalar | ValueSpec, ...] | None = None
    store: Literal["currency", "country", "region"] | None = None
    position: Literal[True] | None = None
    digest: Annotated[int, Meta(ge=16, le=64)] | None = None
    computed: Literal[True] | None = None
    remainder: Annotated[int, Meta(ge=1, le=100)] | None = None
    when: When | None = None
    match: str | None = None
    drop: str = ""
    table: dict[str, Scalar] | None = None
    otherwise: Scalar | None = None
    slug: bool = False
    hash: Annotated[int, Meta(ge=8, le=64)] | None = None
    absolute: bool = False
    negate: bool = False
    times: str | int | None = None
    round: bool = False
    minor: bool = False
    format: str | None = None
    zone: str | None = None


SOURCES = ("path", "const", "template", "first", "add", "store", "position", "digest", "computed",
           "remainder")  # fmt: skip
ON_TEXTS = ("match", "drop", "table", "otherwise", "slug", "hash")
ON_NUMBERS = ("absolute", "negate", "times", "round", "minor")
ON_TIMES = ("format", "zone")
Value = str | int | bool | ValueSpec
Test = Scalar | tuple[Scalar, ...] | dict[Literal["matches", "not", "all"], Any]
When = dict[str, Test]


class PartSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Lines, discounts, taxes or tenders: one of each element that ``each`` finds and ``when`` holds of.
    Of a line also its own discounts and taxes; without an ``amount`` a tax is the line's share."""

    each: str
    set: dict[str, Value]
    when: When = {}
    discounts: tuple[PartSpec, ...] = ()
    taxes: tuple[PartSpec, ...] = ()


class SkipSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Records that are no transactions, such as a cashier's signing on. They are counted by ``reason``."""

    when: When
    reason: Name


class PatternSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of a text: see trees.Pattern."""

    name: Word
    pattern: str
    of: Word | None = None
    after: Word | None = None
    until: Word | None = None


class InsideSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A document within a field: where, what it is, and whether it is in base64."""

    path: str
    form: Literal["json", "xml"]
    base64: bool = False


class MappingSpec(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """A vendor's receipts. form: what the bytes are. records: where the single receipts are in a document;
    record: what must hold of each, so that a document is known by it. sign: of 1 or -1, by which the amounts
    of the whole record are multiplied. encoding: none is UTF-8, or what XML declares. header: of CSV, the
    line with the names of its columns, from 1, or the names of one that does not say them. group_by: the
    columns that tell receipts apart. starts: what the first line of each receipt in a text matches. decimal,
    group: how numbers are written."""

    mapping: Name
    version: Annotated[int, Meta(ge=1, le=9_999)]
    about: str
    form: Literal["json", "xml", "csv", "text"]
    record: When
    receipt: dict[str, Value]
    lines: tuple[PartSpec, ...]
    records: str | tuple[str, ...] = ()
    skip: tuple[SkipSpec, ...] = ()
    inside: tuple[InsideSpec, ...] = ()
    discounts: tuple[PartSpec, ...] = ()
    taxes: tuple[PartSpec, ...] = ()
    tenders: tuple[PartSpec, ...] = ()
    sign: Value = 1
    loyalty: dict[str, Value] | None = None
    encoding: str = ""
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    header: Annotated[int, Meta(ge=1, le=1_000)] | tuple[str, ...] | None = None
    group_by: tuple[str, ...] = ()
    starts: str | None = None
    patterns: tuple[PatternSpec, ...] = ()
    decimal: Literal[".", ","] = "."
    group: Literal["", ",", ".", " ", "'"] = ""


class MappingProblem(ValueError):
    """A mapping that cannot be used. where: keys and positions from its top, for who knows the lines."""

    def __init__(self, where: Where, message: str) -> None:
        super().__init__(where, message)
        self.where, self.message = where, message

    def __str__(self) -> str:
        at = ".".join(map(str, self.where))
        return f"{at}: {self.message}" if at else self.message


def read(document: object) -> MappingSpec:
    """The mapping in a document as YAML has it. Raises MappingProblem."""
    try:
        return msgspec.convert(document, MappingSpec)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `")
        where, what = _exactly(document, _place(path.rstrip("`")), what)
        raise MappingProblem(where, what[0].lower() + what[1:]) from None


def _place(path: str) -> tuple[str | int, ...]:
    """Of msgspec's $.lines[0].set[...]: lines, 0, set; it does not say which key of an object."""
    parts = re.findall(r"\.([a-z_]+)|\[([0-9]+)\]", path.partition("[...]")[0])
    return tuple(name or int(at) for name, at in parts)


def _exactly(
    document: Any, where: tuple[str | int, ...], what: str
) -> tuple[tuple[str | int, ...], str]:
    """With the key of an object of values whose value is wrong, if it is one."""
    node = document
    for step in where:
        node = node[step]
    if where and where[-1] in ("receipt", "set", "loyalty") and isinstance(node, dict):
        for key, value in node.items():
            try:
                msgspec.convert(value, Value)
            except msgspec.ValidationError as error:
                return (*where, key), str(error).partition(" - at `")[0]
    return where, what
