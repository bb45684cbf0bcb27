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
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from xml.parsers import expat

import msgspec

from tillstream.domain.mapping.spec import MappingProblem, Where
from tillstream.domain.transaction import InvalidTransaction, refuse_twice, unreadable

DEEPEST = 100
OTHER_LINES = "other lines"
_json = msgspec.json.Decoder(float_hook=Decimal).decode


def json_tree(raw: bytes) -> Any:
    try:
        found = _json(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise unreadable(raw) from None
    refuse_twice(raw)
    return found


class _Element:
    """What is known of an element until it ends."""

    __slots__ = ("children", "text")

    def __init__(self, attributes: Mapping[str, str]) -> None:
        self.children: dict[str, Any] = {f"@{_local(k)}": v for k, v in attributes.items()}
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
    """Rows that have the same values in the columns ``by`` are one document, wherever they are."""
    text = decoded(raw, encoding)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise InvalidTransaction("not_csv", f"line {reader.line_num}: {error}") from None
    columns = list(reader.fieldnames or [])
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise InvalidTransaction("not_csv", f"line 1 has the column {twice[0]} twice")
    if missing := [name for name in by if name not in columns]:
        raise InvalidTransaction("not_csv", f"line 1 has no column {missing[0]}")
    for n, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InvalidTransaction("not_csv", f"row {n} has not as many fields as line 1")
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    for group in groups.values():
        yield {"rows": group}


class Pattern(NamedTuple):
    """A kind of line of a text. of: what it says belongs to the last line of that kind; after, until: looked
    for only after, or before, the first line of that kind."""

    name: str
    matches: re.Pattern[str]
    of: str | None = None
    after: str | None = None
    until: str | None = None


def compiled(pattern: str, where: Where) -> re.Pattern[str]:
    """Raises MappingProblem."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise MappingProblem(where, f"is no regular expression: {error}") from None


def text_tree(raw: bytes, encoding: str, patterns: Sequence[Pattern]) -> dict[str, Any]:
    """Each line is what the first pattern says that matches it all; the others are under ``OTHER_LINES``."""
    found: dict[str, Any] = {}
    for line in decoded(raw, encoding).splitlines():
        for pattern in patterns:
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
