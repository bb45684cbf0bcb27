"""What is wrong with bytes and objects before any mapping reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tillstream.domain.transaction import InvalidTransaction

FAULT = "fault of the record"  # in an object that cannot be used, whatever a mapping reads of it
_FAULTS = {
    "field_twice": "an object has a field twice",
    "not_csv": "a row has not as many fields as there are columns",
    "not_json": "a line is not JSON",
    "not_text": "bytes are not of the encoding {encoding}",
}
_FAULT = re.compile(r"(?P<reason>[a-z_]+)(?:, line (?P<line>[0-9]{1,9}))?")
ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that are not of the encoding, see lenient


_TROUBLE = re.compile(
    r"error|(?<!de)fault|fail|exception|time[ds]?[ _-]?out|denied|unavailable|incomplete|abort",
    re.IGNORECASE,
)
_STATUS = re.compile(r"status|code", re.IGNORECASE)
_NONE = (None, False, 0, "", "0", "false", "no", "none", "null")


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


def without_fault(node: Any, encoding: str) -> None:
    """Raises InvalidTransaction if something in the record cannot be used, whoever reads it."""
    if isinstance(node, dict):
        if fault := fault_of(node, encoding):
            raise fault
        for child in node.values():
            without_fault(child, encoding)
    elif isinstance(node, list):
        for child in node:
            without_fault(child, encoding)
    elif isinstance(node, str) and not node.isascii() and _lone(node):
        raise InvalidTransaction("not_text", "$ has a text that is no Unicode")


def _lone(text: str) -> bool:
    return any("\ud800" <= sign <= "\udfff" for sign in text)


def lenient(raw: bytes, encoding: str) -> str:
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


def has_lists(node: Any) -> bool:
    """Whether a list in it has anything in it."""
    if isinstance(node, list):
        return bool(node)
    return isinstance(node, dict) and any(map(has_lists, node.values()))


def tells_trouble(node: Any) -> bool:
    """Whether a field of an error has something in it, or a text speaks of one, or it has a status of HTTP
    from 400 on: then the list is empty because nobody got it."""
    if isinstance(node, str):
        return _TROUBLE.search(node) is not None
    if isinstance(node, list):
        return any(map(tells_trouble, node))
    if not isinstance(node, dict):
        return False
    for name, child in node.items():
        if name == "@xmlns":
            continue
        if _TROUBLE.search(name) and child not in ([], {}) and _word(child) not in _NONE:
            return True
        status = _STATUS.search(name) and re.fullmatch("[45][0-9]{2}", str(child))
        if status or tells_trouble(child):
            return True
    return False


def _word(child: Any) -> Any:
    return child.strip().lower() if isinstance(child, str) else child
