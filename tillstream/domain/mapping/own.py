"""The bytes of one record alone, out of the document it came in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from tillstream.domain.mapping.trees import BadLine

_encode = msgspec.json.Encoder(decimal_format="number").encode


def same(raw: bytes) -> Callable[[], bytes]:
    return lambda: raw


def alone(tree: Any, node: Any, encoding: str) -> Callable[[], bytes]:
    """Of ``node`` in ``tree``, in what a mapping of that encoding reads again."""
    if isinstance(node, BadLine):
        return same(node.raw)
    if encoding == "utf-8":
        return lambda: written(_only(tree, node)[1])
    return lambda: _ascii(written(_only(tree, node)[1]))


def _ascii(told: bytes) -> bytes:
    """JSON that is the same in any encoding: signs beyond ASCII are only in its texts."""
    escaped = re.sub(r"[^\x00-\x7f]", lambda sign: json.dumps(sign[0])[1:-1], told.decode())
    return escaped.encode()


def written(tree: Any) -> bytes:
    """JSON; of texts that are no Unicode what can be written."""
    try:
        return _encode(tree)
    except UnicodeEncodeError:
        return _encode(_writable(tree))


def _writable(node: Any) -> Any:
    if isinstance(node, dict):
        return {_writable(name): _writable(child) for name, child in node.items()}
    if isinstance(node, list):
        return [_writable(child) for child in node]
    return node.encode("utf-8", "backslashreplace").decode() if isinstance(node, str) else node


def _only(tree: Any, node: Any) -> tuple[bool, Any]:
    """(whether ``node`` is in ``tree``, the tree without other elements of the lists it is in)."""
    if tree is node:
        return True, tree
    if isinstance(tree, list):
        for element in tree:
            there, found = _only(element, node)
            if there:
                return True, [found]
    elif isinstance(tree, dict):
        for name, child in tree.items():
            if isinstance(child, dict | list):
                there, found = _only(child, node)
                if there:
                    return True, tree | {name: found}
    return False, tree
