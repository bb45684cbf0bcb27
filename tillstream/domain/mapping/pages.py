"""Pages without a record in them: which of them are nothing, and which say that something went wrong."""

from __future__ import annotations

import re
from typing import Any

_TROUBLE = re.compile(
    r"error|(?<!de)fault|fail|exception|time[ds]?[ _-]?out|denied|unavailable|incomplete|abort",
    re.IGNORECASE,
)
_STATUS = re.compile(r"status|code", re.IGNORECASE)
_NONE = (None, False, 0, "", "0", "false", "no", "none", "null")


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
