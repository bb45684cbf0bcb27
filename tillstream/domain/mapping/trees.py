"""What vendors send, as one kind of document: dicts, lists, texts, whole numbers, Decimals, booleans.

- JSON as it is, numbers exact.
- XML: a dict per element, by local names; attributes as ``@name``; the text beside them as ``$``, or in
  place of the dict where there is nothing else. An element that comes again makes a list.
- CSV: ``{"rows": [{column: text}]}`` per group of rows.
- Text: ``{name of the pattern: [{group: text}]}``; what belongs to a line is in that line's dict.

What cannot be read raises InvalidTransaction: ``not_json``, ``not_xml``, ``not_csv``, ``not_text``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple
from xml.parsers import expat

import msgspec

from tillstream.domain.transaction import InvalidTransaction, refuse_twice, unreadable

DEEPEST = 100
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
    """``{name of the root: its value}``. Document types are refused: an entity may be a gigabyte, a file."""
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

    def document_type(*_: object) -> None:
        raise InvalidTransaction("not_xml", "a document type is not allowed")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = lambda text: open_elements[-1][0].text.append(text)
    parser.StartDoctypeDeclHandler = document_type
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, InvalidTransaction):
            raise
        place = f"line {parser.ErrorLineNumber}, column {parser.ErrorColumnNumber + 1}"
        what = expat.ErrorString(parser.ErrorCode) if parser.ErrorCode else "not readable"
        raise InvalidTransaction("not_xml", f"{place}: {what}") from None
    return whole.children


def csv_groups(
    raw: bytes, delimiter: str, encoding: str, by: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Neighbouring rows that have the same values in the columns ``by`` are one document."""
    text = decoded(raw, encoding)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise InvalidTransaction("not_csv", f"line {reader.line_num}: {error}") from None
    columns = reader.fieldnames or []
    if missing := [name for name in by if name not in columns]:
        raise InvalidTransaction("not_csv", f"line 1 has no column {missing[0]}")
    for n, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InvalidTransaction("not_csv", f"row {n} has not as many fields as line 1")
    for _, group in groupby(rows, key=lambda row: [row[name] for name in by]):
        yield {"rows": list(group)}


class Pattern(NamedTuple):
    """A kind of line of a text. of: what it says belongs to the last line of that kind; until: not looked for
    after the first line of that kind."""

    name: str
    matches: re.Pattern[str]
    of: str | None = None
    until: str | None = None


def text_tree(raw: bytes, encoding: str, patterns: Sequence[Pattern]) -> dict[str, Any]:
    """Each line is what the first pattern says that matches it all; the others are left out."""
    found: dict[str, Any] = {}
    for line in decoded(raw, encoding).splitlines():
        for pattern in patterns:
            if pattern.until in found:
                continue
            if pattern.of is not None and pattern.of not in found:
                continue
            if hit := pattern.matches.fullmatch(line.strip()):
                owner = found[pattern.of][-1] if pattern.of else found
                groups = {k: v.strip() for k, v in hit.groupdict().items() if v is not None}
                owner.setdefault(pattern.name, []).append(groups)
                break
    return found


def decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InvalidTransaction("not_text", f"byte {error.start} is not {encoding}") from None
