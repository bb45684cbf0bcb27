"""What vendors send, as one kind of document: dicts, lists, texts, whole numbers, Decimals, booleans.

- JSON as it is, numbers exact. Each object of a list, or of lines of JSON, is a document by itself.
- XML: a dict per element, by local names; attributes as ``@name``; the text beside them as ``$``, or in
  place of the dict where there is nothing else. An element that comes again makes a list.
- CSV (`rows`): ``{"rows": [{column: text}]}`` per group of rows; of a column that is
  named twice, a list of texts.
- Text: ``{name of the pattern: [{group: text}]}`` per receipt; what belongs to a line is in that line's dict,
  and lines that no pattern matches are under OTHER_LINES.

What cannot be read raises InvalidTransaction: ``not_json``, ``not_utf8``, ``not_xml``, ``not_csv``,
``not_text``.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from decimal import Decimal, DecimalException
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple
from xml.parsers import expat

from tillstream.domain.mapping.faults import ESCAPED, FAULT, decoded, lenient
from tillstream.domain.mapping.spec import MappingProblem, Where
from tillstream.domain.transaction import InvalidTransaction, unreadable

DEEPEST = 100
LONGEST_LINE = 300  # of a text: patterns are not tried on longer ones
LONGEST_DIGITS = 40
LONGEST_FIXED = 10_000  # of a line that is tried on patterns of fixed columns only
OTHER_LINES = "other lines"
# Encodings of XML that the parser does not know.
_MULTI_BYTE = frozenset({"shift_jis", "cp932", "euc_jp", "gbk", "gb2312", "gb18030", "big5", "cp950",
                         "euc_kr", "cp949"})  # fmt: skip
_DECLARED = re.compile(rb"<\?xml[^>]{1,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
# Of XML, one that declares nothing itself.
_DOCUMENT_TYPE = re.compile(
    rb"\A((?:\xef\xbb\xbf)?(?:\s+|<\?.*?\?>|<!--.*?-->)*+)(<!DOCTYPE\s[^\[\]<>]*>)", re.DOTALL
)


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
    text = lenient(raw, encoding)
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
    if ESCAPED.search(text):
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
            reason = "not_text" if ESCAPED.search(line) else "not_json"
            own = line.rstrip("\n").encode(encoding, "surrogateescape")
            found.append(BadLine(own, f"{reason}, line {number}"))
    begun = all(re.match(r"\s*\{.*[^\s,\[{]\s*$", line, re.DOTALL) for _, line in lines)
    return found if len(lines) > 1 and good and (begun or 2 * good >= len(lines)) else None


def _json(text: str) -> Any:
    """Raises ValueError."""
    if not text.isascii() and ESCAPED.search(text):
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
    belong to the first. A line that is not of the encoding spoils its receipt, which has a FAULT then; where
    that are all, the text is of another encoding: raises InvalidTransaction."""
    found: dict[str, Any] = {}
    whole, started = [found], False
    longest = LONGEST_FIXED if starts and fixed(starts) else LONGEST_LINE
    for number, line in enumerate(lenient(raw, encoding).splitlines(), 1):
        if starts and len(line) <= longest and _matches(starts, line):
            if started:
                found = {}
                whole.append(found)
            started = True
        if not line.isascii() and ESCAPED.search(line):
            found.setdefault(FAULT, f"not_text, line {number}")
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
    if all(FAULT in found for found in whole):
        decoded(raw, encoding)
    return whole


def _matches(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    return pattern.fullmatch(line.strip()) or pattern.fullmatch(line)
