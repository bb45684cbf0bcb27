"""What vendors send, as one kind of document: dicts, lists, texts, whole numbers, Decimals, booleans.

- JSON as it is, numbers exact. Each object of a list, or of lines of JSON, is a document by itself.
- XML: a dict per element, by local names; attributes as ``@name``; the text beside them as ``$``, or in
  place of the dict where there is nothing else. An element that comes again makes a list.
- CSV: ``{"rows": [{column: text}]}`` per group of rows; of a column that is named twice, a list of texts.
- Text: ``{name of the pattern: [{group: text}]}`` per receipt; what belongs to a line is in that line's dict,
  and lines that no pattern matches are under OTHER_LINES.

What cannot be read raises InvalidTransaction: ``not_json``, ``not_utf8``, ``not_xml``, ``not_csv``,
``not_text``.
"""

from __future__ import annotations

import codecs
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
LONGEST_FIXED = 10_000  # of a line that is tried on patterns of fixed columns only
OTHER_LINES = "other lines"
FAULT = "fault of the record"  # in an object that cannot be used, whatever a mapping reads of it
_FAULTS = {
    "field_twice": "an object has a field twice",
    "not_csv": "a row has not as many fields as there are columns",
    "not_json": "a line is not JSON",
    "not_text": "bytes are not of the encoding {encoding}",
}
_FAULT = re.compile(r"(?P<reason>[a-z_]+)(?:, line (?P<line>[0-9]{1,9}))?")
_ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that are not of the encoding, see _lenient
# Encodings of XML that the parser does not know.
_MULTI_BYTE = frozenset({"shift_jis", "cp932", "euc_jp", "gbk", "gb2312", "gb18030", "big5", "cp950",
                         "euc_kr", "cp949"})  # fmt: skip
_DECLARED = re.compile(rb"<\?xml[^>]{1,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
# Of XML, one that declares nothing itself.
_DOCUMENT_TYPE = re.compile(
    rb"\A((?:\xef\xbb\xbf)?(?:\s+|<\?.*?\?>|<!--.*?-->)*+)(<!DOCTYPE\s[^\[\]<>]*>)", re.DOTALL
)


def fault_of(node: Mapping[str, Any], encoding: str) -> InvalidTransaction | None:
    """What an object says of itself with FAULT, which a sender may have written too."""
    if FAULT not in node:
        return None
    said = _FAULT.fullmatch(str(node[FAULT]))
    if not said or said["reason"] not in _FAULTS:
        return InvalidTransaction("unknown_record", "$ says of itself that it cannot be used")
    place = f"line {said['line']}" if said["line"] else "$"
    message = _FAULTS[said["reason"]].format(encoding=encoding)
    return InvalidTransaction(said["reason"], f"{place}: {message}")


class BadLine(dict[str, Any]):
    """A line that is no JSON, among lines that are. raw: its bytes."""

    def __init__(self, raw: bytes, fault: str) -> None:
        super().__init__({FAULT: fault})
        self.raw = raw


@lru_cache(maxsize=1)
def json_trees(raw: bytes, encoding: str = "utf-8") -> list[Any]:
    """An object with a field given twice has a FAULT, and so has a line that is no JSON among lines that are.
    What is ASCII is read as such, whatever the encoding. Not to be changed: the next mapping that is tried
    gets the same."""
    if raw.isascii() and b"\0" not in raw:
        encoding = "utf-8"
    text = _lenient(raw, encoding)
    try:
        found = _json(text)
    except ValueError:
        lines = _json_lines(text, encoding)
        if lines is None:
            raise _no_json(raw, text, encoding) from None
        return _flat(lines)
    return _flat(found) if isinstance(found, list) else [found]


def _no_json(raw: bytes, text: str, encoding: str) -> InvalidTransaction:
    if encoding == "utf-8":
        return unreadable(raw)
    if _ESCAPED.search(text):
        return InvalidTransaction("not_text", f"it has bytes that are not {encoding}")
    return InvalidTransaction("not_json", f"{len(raw)} bytes that are not one JSON document")


def _json_lines(text: str, encoding: str) -> list[Any] | None:
    """None where so few of the lines are JSON that it is one document which is broken."""
    lines = [(n, one) for n, one in enumerate(io.StringIO(text, newline=None), 1) if one.strip()]
    found: list[Any] = []
    good = 0
    for number, line in lines:
        try:
            found.append(_json(line))
            good += isinstance(found[-1], dict | list)
        except ValueError:
            reason = "not_text" if _ESCAPED.search(line) else "not_json"
            own = line.rstrip("\n").encode(encoding, "surrogateescape")
            found.append(BadLine(own, f"{reason}, line {number}"))
    begun = all(re.match(r"\s*\{.*[^\s,\[{]\s*$", line, re.DOTALL) for _, line in lines)
    return found if len(lines) > 1 and good and (begun or 2 * good >= len(lines)) else None


def _json(text: str) -> Any:
    """Raises ValueError."""
    if not text.isascii() and _ESCAPED.search(text):
        raise ValueError
    try:
        found = json.loads(
            text,
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


def _flat(found: list[Any]) -> list[Any]:
    """The elements, of lists in it too."""
    return [leaf for one in found for leaf in (_flat(one) if isinstance(one, list) else [one])]


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
def xml_tree(raw: bytes, encoding: str = "") -> dict[str, Any]:
    """``{name of the root: its value}``; the root's ``@xmlns`` are all namespaces that are declared.
    encoding: in place of what the document says of itself. A document type that declares something is
    refused: an entity may be a gigabyte, a file."""
    encoding = encoding or _multi_byte(raw)
    if encoding:
        raw = decoded(raw, encoding).encode("utf-8", "surrogatepass")
    raw = _DOCUMENT_TYPE.sub(lambda hit: hit[1] + re.sub(rb"[^\r\n]", b" ", hit[2]), raw)
    whole = _Element({})
    open_elements = [(whole, "")]
    parser = expat.ParserCreate("utf-8" if encoding else None, namespace_separator=" ")
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
        raise InvalidTransaction(
            "not_xml", "a document type that declares something is not allowed"
        )

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


def _multi_byte(raw: bytes) -> str:
    """The encoding that XML declares, if the parser does not know it and we do."""
    declared = _DECLARED.match(raw)
    if not declared:
        return ""
    try:
        name = codecs.lookup(declared[1].decode()).name
    except LookupError:
        return ""
    return name if name in _MULTI_BYTE else ""


Header = int | Sequence[str] | None
_SEP = re.compile(r'"?sep=(?P<sign>[^\r\n])"?[\r\n]*')
_QUOTES = {"unexpected end of data": "a quote that is opened there is never closed"}


class OtherColumns(InvalidTransaction):
    """``not_csv`` of a file that has not the columns of the mapping, so may be another's."""


def csv_groups(
    raw: bytes, delimiter: str, encoding: str, by: Sequence[str], header: Header = None
) -> Iterator[dict[str, Any]]:
    """Rows that have the same values in the columns ``by`` are one document, wherever they are: tills that
    write into one file take turns. header: the line with the names of the columns, from 1, else the first; or
    the names, of a file that does not say them. What a first line ``sep=;`` says goes before ``delimiter``.

    A row that cannot be used has a FAULT, and is in the group it belongs to: by its columns ``by``, counted
    from the left or from the right, else by the rows around it."""
    lines = list(io.StringIO(_lenient(raw, encoding), newline=""))
    before = 0
    if lines and (sep := _SEP.fullmatch(lines[0])):
        delimiter, before = sep["sign"], 1
    if isinstance(header, int):
        before = header - 1
    rows = _rows(lines, before, delimiter)
    if header is None or isinstance(header, int):
        number, names = next(rows, (before + 1, []))
        if missing := [name for name in by if names.count(name) != 1]:
            count = "several columns" if missing[0] in names else "no column"
            raise OtherColumns("not_csv", f"line {number} has {count} {missing[0]}")
        named = True
    else:
        names, named = list(header), False
    columns = [name if name.strip() else f"column {n}" for n, name in enumerate(names, 1)]
    at = [columns.index(name) for name in by]
    found = [
        (line, row, _row_fault(row, len(columns))) for line, row in rows if any(map(str.strip, row))
    ]
    keys = [None if fault else tuple(row[n] for n in at) for _, row, fault in found]
    if found and not any(key is not None for key in keys) and not named:
        raise OtherColumns("not_csv", f"no row has {len(columns)} fields")
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    twice = len(set(columns)) < len(columns)
    for (line, row, fault), key in zip(found, _keys(found, keys, at, len(columns)), strict=True):
        one = _by_names(columns, row) if fault or twice else dict(zip(columns, row, strict=True))
        if fault:
            one[FAULT] = f"{fault}, line {line}"
        groups.setdefault(key, []).append(one)
    for group in groups.values():
        yield {"rows": group}


def _keys(
    found: Sequence[tuple[int, list[str], str | None]],
    keys: Sequence[tuple[str, ...] | None],
    at: Sequence[int],
    fields: int,
) -> list[tuple[str, ...]]:
    """``keys`` with those of rows that have a fault: see `csv_groups`."""
    good = set(keys)
    before: tuple[str, ...] | None = None
    whole: list[tuple[str, ...]] = []
    after: list[tuple[str, ...] | None] = [None]
    for key in reversed(keys):
        after.append(after[-1] if key is None else key)
    after.reverse()
    for n, ((_, row, _), key) in enumerate(zip(found, keys, strict=True)):
        if key is None:
            left = tuple(row[m] if m < len(row) else "" for m in at)
            right = tuple(row[m - fields] if fields - m <= len(row) else "" for m in at)
            around = before if before == after[n] else None
            known = (one for one in (left, right, around) if one is not None and one in good)
            whole.append(next(known, left))
        else:
            before = key
            whole.append(key)
    return whole


def regrouped(tree: Any, by: Sequence[str]) -> list[Any]:
    """Of a group that came back by itself, the groups that it is by today's ``by``."""
    rows = tree.get("rows") if isinstance(tree, dict) and len(tree) == 1 else None
    if not isinstance(rows, list) or not all(isinstance(r, dict) and FAULT not in r for r in rows):
        return [tree]
    groups: dict[tuple[str, ...], list[Any]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row.get(name, "")) for name in by), []).append(row)
    return [{"rows": group} for group in groups.values()]


def _rows(lines: list[str], before: int, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row, with the line it begins in. Raises InvalidTransaction."""
    reader = csv.reader(lines[before:], delimiter=delimiter, strict=True)
    begins, fields = before + 1, 0
    try:
        for row in reader:
            fields = fields or len(row)
            ends = before + reader.line_num
            if ends > begins and any(_swallowed(cell, delimiter, fields) for cell in row):
                what = "a quote that is opened there is closed in another row"
                raise InvalidTransaction("not_csv", f"line {begins}: {what}")
            yield begins, row
            begins = ends + 1
    except csv.Error as error:
        what = _QUOTES.get(str(error), "a text goes on behind its quotes")
        if "limit" in str(error):
            what = "a field is too long, or a quote is not closed"
        raise InvalidTransaction("not_csv", f"line {begins}: {what}") from None


def _swallowed(cell: str, delimiter: str, fields: int) -> bool:
    """Whether a cell of several lines has the delimiters of whole rows in it: of two rows with a quote that
    is not closed, the second quote closes the first."""
    inside = cell.count(delimiter) if "\n" in cell or "\r" in cell else 0
    return inside > 0 and fields > 3 and inside % (fields - 1) == 0


def _row_fault(row: Sequence[str], fields: int) -> str | None:
    if any(not cell.isascii() and _ESCAPED.search(cell) for cell in row):
        return "not_text"
    return None if len(row) == fields else "not_csv"


def _by_names(columns: Sequence[str], row: Sequence[str]) -> dict[str, Any]:
    """Cells by their columns' names, those of no column by their number; several of one name are a list."""
    found: dict[str, Any] = {}
    for at, cell in enumerate(row):
        name = columns[at] if at < len(columns) else f"column {at + 1}"
        before = found.get(name)
        if before is None:
            found[name] = cell
        elif isinstance(before, list):
            before.append(cell)
        else:
            found[name] = [before, cell]
    return found


def _lenient(raw: bytes, encoding: str) -> str:
    """Bytes that are not of the encoding become lone surrogates: they spoil no row but their own. Raises
    InvalidTransaction where that cannot be."""
    try:
        return raw.decode(encoding, "surrogateescape").removeprefix("\ufeff")
    except UnicodeError as error:
        raise _not_of(encoding, error) from None


def decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        raise _not_of(encoding, error) from None


def _not_of(encoding: str, error: UnicodeError) -> InvalidTransaction:
    place = f"byte {error.start}" if isinstance(error, UnicodeDecodeError) else "it"
    return InvalidTransaction("not_text", f"{place} is not {encoding}")


class Pattern(NamedTuple):
    """A kind of line of a text. of: what it says belongs to the last line of that kind; after, until: looked
    for only after, or before, the first line of that kind; fixed: see `fixed`."""

    name: str
    matches: re.Pattern[str]
    of: str | None = None
    after: str | None = None
    until: str | None = None
    fixed: bool = False


def compiled(pattern: str, where: Where) -> re.Pattern[str]:
    """Raises MappingProblem, also for a repeat within a repeat: a text of some 30 signs can make it run for
    years."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made = re.compile(pattern)
            nested = _nested(_parser.parse(pattern), within=False)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise MappingProblem(where, f"is no regular expression: {error}") from None
    if nested:
        raise MappingProblem(
            where, "has a repeat within a repeat, which some text would make endless"
        )
    return made


def _nested(parsed: Any, within: bool) -> bool:
    """Whether something that may repeat without a limit holds another such."""
    for kind, said in parsed:
        name = str(kind)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            _, most, inner = said
            endless = most == _parser.MAXREPEAT
            if (endless and within) or _nested(inner, within or endless):
                return True
        elif name == "SUBPATTERN":
            if _nested(said[3], within):
                return True
        elif name == "BRANCH":
            if any(_nested(branch, within) for branch in said[1]):
                return True
        elif name in ("ASSERT", "ASSERT_NOT") and _nested(said[1], within):
            return True
    return False


def fixed(pattern: re.Pattern[str]) -> bool:
    """Whether all that it matches is of one length, as lines of fixed columns are."""
    least, most = _parser.parse(pattern.pattern).getwidth()
    return bool(least == most)


def text_trees(
    raw: bytes,
    encoding: str,
    patterns: Sequence[Pattern],
    starts: re.Pattern[str] | None = None,
) -> list[dict[str, Any]]:
    """Each line is what the first pattern says that matches it all, without blanks around it or with them;
    the others are under ``OTHER_LINES``. starts: what the first line of each receipt matches; lines before
    belong to the first."""
    found: dict[str, Any] = {}
    whole, started = [found], False
    longest = LONGEST_FIXED if starts and fixed(starts) else LONGEST_LINE
    for line in decoded(raw, encoding).splitlines():
        if starts and len(line) <= longest and _matches(starts, line):
            if started:
                found = {}
                whole.append(found)
            started = True
        for pattern in patterns:
            if len(line) > (LONGEST_FIXED if pattern.fixed else LONGEST_LINE):
                continue
            if pattern.until in found:
                continue
            if any(name is not None and name not in found for name in (pattern.of, pattern.after)):
                continue
            if hit := _matches(pattern.matches, line):
                owner = found[pattern.of][-1] if pattern.of else found
                groups = {k: v.strip() for k, v in hit.groupdict().items() if v is not None}
                owner.setdefault(pattern.name, []).append(groups)
                break
        else:
            if line.strip():
                found.setdefault(OTHER_LINES, []).append({"text": line.strip()})
    return whole


def _matches(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    return pattern.fullmatch(line.strip()) or pattern.fullmatch(line)
