"""What vendors send, as one kind of document: dicts, lists, texts, whole numbers, Decimals, booleans.

- JSON as it is, numbers exact.
- XML: a dict per element, by local names; attributes as ``@name``; the text beside them as ``$``, or in
  place of the dict where there is nothing else. An element that comes again makes a list.
- CSV: ``{"rows": [{column: text}]}`` per group of rows.
- Text: ``{name of the pattern: [{group: text}]}``; what belongs to a line is in that line's dict, and lines
  that no pattern matches are under OTHER_LINES.

What cannot be read raises InvalidTransaction: ``not_json``, ``not_xml``, ``not_csv``, ``not_text``.
"""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, DecimalException
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple
from xml.parsers import expat

from tillstream.domain.mapping.spec import MappingProblem, Where
from tillstream.domain.transaction import InvalidTransaction, unreadable

DEEPEST = 100
LONGEST_LINE = 300  # of a text: patterns are not tried on longer ones
LONGEST_DIGITS = 40
OTHER_LINES = "other lines"
FAULTS = {
    "not_csv": "a row has not as many fields as line 1",
    "not_text": "a row has bytes that are not of the file's encoding",
}
FAULT = "fault of the record"  # in an object that cannot be used, whatever a mapping reads of it


@lru_cache(maxsize=1)
def json_tree(raw: bytes) -> Any:
    """An object with a field given twice has a FAULT. Lines of JSON are a list. Not to be changed: the next
    mapping that is tried gets the same."""
    text = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        found = _json(text)
    except ValueError:
        lines = text.splitlines()
        try:
            found = [_json(line) for line in lines if line.strip()]
        except ValueError:
            raise unreadable(raw) from None
        if len(found) < 2:
            raise unreadable(raw) from None
    return found


def _json(text: bytes) -> Any:
    """Raises ValueError."""
    try:
        found = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=Decimal,
            parse_int=lambda digits: (
                int(digits) if len(digits) < LONGEST_DIGITS else Decimal(digits)
            ),
            parse_constant=str,
        )
    except (RecursionError, DecimalException):
        raise ValueError from None
    _not_deeper(found, DEEPEST)
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        found[FAULT] = "field_twice"
    return found


def _not_deeper(node: Any, left: int) -> None:
    """Raises ValueError."""
    if not left:
        raise ValueError
    for child in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        if isinstance(child, dict | list):
            _not_deeper(child, left - 1)


class _Element:
    """What is known of an element until it ends."""

    __slots__ = ("children", "text")

    def __init__(self, attributes: Mapping[str, str]) -> None:
        # One of no namespace goes before one of a vendor's with the same local name.
        named = sorted(attributes.items(), key=lambda item: " " not in item[0])
        self.children: dict[str, Any] = {f"@{_local(name)}": value for name, value in named}
        self.text: list[str] = []

    def add(self, name: str, child: Any) -> None:
        before = self.children.get(name)
        if before is None:
            self.children[name] = child
        elif isinstance(before, list):
            before.append(child)
        else:
            self.children[name] = [before, child]

    def value(self) -> Any:
        text = "".join(self.text).strip()
        if not self.children:
            return text
        if text:
            self.children["$"] = text
        return self.children


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


@lru_cache(maxsize=1)
def xml_tree(raw: bytes) -> dict[str, Any]:
    """``{name of the root: its value}``; the root's ``@xmlns`` are all namespaces that are declared. Document
    types are refused: an entity may be a gigabyte, a file."""
    whole = _Element({})
    open_elements = [(whole, "")]
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def begin(name: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > DEEPEST:
            raise InvalidTransaction("not_xml", f"elements are more than {DEEPEST} deep")
        open_elements.append((_Element(attributes), _local(name)))

    def end(name: str) -> None:
        done, local = open_elements.pop()
        open_elements[-1][0].add(local, done.value())

    spaces: list[str] = []

    def document_type(*_: object) -> None:
        raise InvalidTransaction("not_xml", "a document type is not allowed")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = lambda text: open_elements[-1][0].text.append(text)
    parser.StartDoctypeDeclHandler = document_type
    parser.StartNamespaceDeclHandler = lambda prefix, uri: spaces.append(uri)
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, InvalidTransaction):
            raise
        place = f"line {parser.ErrorLineNumber}, column {parser.ErrorColumnNumber + 1}"
        what = expat.ErrorString(parser.ErrorCode) if parser.ErrorCode else "not readable"
        raise InvalidTransaction("not_xml", f"{place}: {what}") from None
    root = next(iter(whole.children.values()))
    if spaces and isinstance(root, dict):
        root["@xmlns"] = list(dict.fromkeys(spaces))
    return whole.children


def csv_groups(
    raw: bytes, delimiter: str, encoding: str, by: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Rows that have the same values in the columns ``by`` are one document, wherever they are. A row that is
    not like the header is one by itself, with a FAULT."""
    reader = csv.reader(io.StringIO(_lenient(raw, encoding), newline=""), delimiter=delimiter)
    try:
        columns = next(reader, [])
        if twice := [name for name in columns if columns.count(name) > 1]:
            raise InvalidTransaction("not_csv", f"line 1 has the column {twice[0]} twice")
        if missing := [name for name in by if name not in columns]:
            raise InvalidTransaction("not_csv", f"line 1 has no column {missing[0]}")
        groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
        for row in reader:
            if len(row) == len(columns) and not _spoilt(row):
                named = dict(zip(columns, row, strict=True))
                groups.setdefault(tuple(named[name] for name in by), []).append(named)
            elif any(cell.strip() for cell in row):
                why = "not_text" if _spoilt(row) else "not_csv"
                yield {"rows": [dict(enumerate_names(row))], FAULT: why}
    except csv.Error as error:
        raise InvalidTransaction("not_csv", f"line {reader.line_num}: {error}") from None
    for group in groups.values():
        yield {"rows": group}


def enumerate_names(row: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Cells of a row that has no names for them."""
    return ((f"column {n}", cell) for n, cell in enumerate(row, start=1))


def _lenient(raw: bytes, encoding: str) -> str:
    """Bytes that are not of the encoding become lone surrogates: they spoil no row but their own."""
    return raw.decode(encoding, "surrogateescape").removeprefix("\ufeff")


def _spoilt(row: Sequence[str]) -> bool:
    return any("\udc80" <= sign <= "\udcff" for cell in row for sign in cell)


class Pattern(NamedTuple):
    """A kind of line of a text. of: what it says belongs to the last line of that kind; after, until: looked
    for only after, or before, the first line of that kind."""

    name: str
    matches: re.Pattern[str]
    of: str | None = None
    after: str | None = None
    until: str | None = None


def compiled(pattern: str, where: Where) -> re.Pattern[str]:
    """Raises MappingProblem, also for a repeat within a repeat, or one of alternatives that may begin with
    the same sign: a text of some 30 signs can make it run for years."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made = re.compile(pattern)
            nested = _nested(_parser.parse(pattern), within=False)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise MappingProblem(where, f"is no regular expression: {error}") from None
    if nested:
        raise MappingProblem(
            where,
            "has a repeat within a repeat, or of alternatives that begin alike, which some text would make "
            "endless",
        )
    return made


OFTEN = 10  # repeats: one that is within another takes too long


def _alike(branches: Sequence[Any]) -> bool:
    """Whether two of them may begin with the same sign, capital or not; one that does not begin with signs
    that are named may begin with any."""
    before: set[str] = set()
    for branch in branches:
        name, said = (str(branch[0][0]), branch[0][1]) if len(branch) else ("", None)
        parts: Any = said if name == "IN" else [(name, said)]
        if any(str(kind) not in ("LITERAL", "RANGE") for kind, _ in parts):
            return True
        ends = [code if isinstance(code, tuple) else (code, code) for _, code in parts]
        signs = {chr(code).casefold() for low, high in ends for code in range(low, high + 1)}
        if signs & before:
            return True
        before |= signs
    return False


def _nested(parsed: Any, within: bool) -> bool:
    """Whether something that may repeat often holds another such, or alternatives that begin alike."""
    for kind, said in parsed:
        name = str(kind)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            _, most, inner = said
            endless = most >= OFTEN
            if (endless and within) or _nested(inner, within or endless):
                return True
        elif name == "SUBPATTERN":
            if _nested(said[3], within):
                return True
        elif name == "BRANCH":
            if within and _alike(said[1]):
                return True
            if any(_nested(branch, within) for branch in said[1]):
                return True
        elif name in ("ASSERT", "ASSERT_NOT") and _nested(said[1], within):
            return True
    return False


def text_tree(raw: bytes, encoding: str, patterns: Sequence[Pattern]) -> dict[str, Any]:
    """Each line is what the first pattern says that matches it all; the others are under ``OTHER_LINES``."""
    found: dict[str, Any] = {}
    for line in decoded(raw, encoding).splitlines():
        for pattern in patterns if len(line) <= LONGEST_LINE else ():
            if pattern.until in found:
                continue
            if any(name is not None and name not in found for name in (pattern.of, pattern.after)):
                continue
            if hit := pattern.matches.fullmatch(line.strip()):
                owner = found[pattern.of][-1] if pattern.of else found
                groups = {k: v.strip() for k, v in hit.groupdict().items() if v is not None}
                owner.setdefault(pattern.name, []).append(groups)
                break
        else:
            if line.strip():
                found.setdefault(OTHER_LINES, []).append({"text": line.strip()})
    return found


def decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InvalidTransaction("not_text", f"byte {error.start} is not {encoding}") from None
