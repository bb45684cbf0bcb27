"""Where something is in a document.

``a.b`` steps into objects, and into each element of a list on the way: ``lines.taxes`` is all taxes of all
lines. ``a[0]`` is one element; ``a[kind=TAX]`` those elements whose ``kind`` is TAX, ``a[kind!=TAX]`` the
others; several stand one behind the other. ``*`` is any name; ``entries()`` is what an object has, each as
``{"key": name, "value": what is there}``, for formats that keep a value in a name. ``/a`` begins at the
record in place of the element at hand, ``//a`` at the whole document. ``.`` is the element itself. A name
with a dot, a slash or a bracket in it is written in double quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

_STEP = re.compile(
    r'(?:"(?P<quoted>[^"]+)"|(?P<name>[^."\[\]/]+))(?P<rest>(?:\[[^\]]*\])*)(?:\.(?=.)|$)'
)
_FILTER = re.compile(r"\[(?:(?P<at>-?[0-9]+)|(?P<key>[^=!\]]+)(?P<how>!?=)(?P<value>[^\]]*))\]")

ENTRIES = "entries()"
Visit = Callable[[dict[str, Any], str], None]


class Scope(NamedTuple):
    """Where a path may begin. For who wants to know what was looked at: visit, called with each object and
    the name that is read in it; offer, with each element and the path that leads to it; take, with each that
    something is made of."""

    here: Any
    record: Any
    document: Any
    visit: Visit | None = None
    offer: Callable[[str, Any], None] | None = None
    take: Callable[[Any], None] | None = None

    def at(self, element: Any) -> Scope:
        return self._replace(here=element)


class _Step(NamedTuple):
    """filters, in their order: a position, or (name, whether it is the same, value)."""

    name: str
    filters: tuple[int | tuple[str, bool, str], ...]


class Path:
    """A path that is read already. Raises ValueError if ``text`` is none."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._from = (
            "document" if text.startswith("//") else "record" if text[:1] == "/" else "here"
        )
        left = text.lstrip("/")
        self._steps: list[_Step] = []
        while left and left != ".":
            step = _STEP.match(left)
            if not step:
                raise ValueError(f"{text!r} is no path: `{left}` cannot be read")
            self._steps.append(_step(step, text))
            left = left[step.end() :]

    def all(self, scope: Scope) -> list[Any]:
        """Everything that is there; nulls are not."""
        nodes = _flat(getattr(scope, self._from))
        for step in self._steps:
            found: list[Any] = []
            for node in nodes:
                if not isinstance(node, dict):
                    continue
                if step.name == ENTRIES:
                    found += _entries(node, scope.visit)
                    continue
                for name in _names(node) if step.name == "*" else (step.name,):
                    if scope.visit and name in node:
                        scope.visit(node, name)
                    found += _flat(node.get(name))
            for chosen in step.filters:
                if isinstance(chosen, int):
                    found = found[chosen : chosen + 1 or None]
                else:
                    key, same, value = chosen
                    found = [n for n in found if (_said(n, key, scope.visit) == value) is same]
            nodes = found
        return nodes

    def __repr__(self) -> str:
        return f"Path({self.text!r})"


def _step(found: re.Match[str], text: str) -> _Step:
    filters: list[int | tuple[str, bool, str]] = []
    rest = found["rest"]
    while rest:
        part = _FILTER.match(rest)
        if not part:
            raise ValueError(f"{text!r} is no path: `{rest}` is neither [3] nor [name=value]")
        if part["at"] is not None:
            filters.append(int(part["at"]))
        else:
            filters.append((part["key"], part["how"] == "=", part["value"]))
        rest = rest[part.end() :]
    return _Step(found["quoted"] or found["name"], tuple(filters))


def _entries(node: dict[str, Any], visit: Visit | None) -> list[dict[str, Any]]:
    names = _names(node)
    if visit:
        for name in names:
            visit(node, name)
    return [{"key": name, "value": node[name]} for name in names]


def _names(node: dict[str, Any]) -> list[str]:
    """All but an XML element's attributes and text."""
    return [name for name in node if name[:1] not in ("@", "$")]


def _flat(node: Any) -> list[Any]:
    """The elements of a list, of lists in it too; of anything else itself, of null nothing."""
    if not isinstance(node, list):
        return [] if node is None else [node]
    return [leaf for element in node for leaf in _flat(element)]


def _said(node: Any, key: str, visit: Visit | None) -> str | None:
    if not isinstance(node, dict) or key not in node:
        return None
    if visit:
        visit(node, key)
    return text_of(node[key])


def is_blank(value: Any) -> bool:
    """Whether there is nothing to read: a blank text, an object or XML element with nothing in it, whatever
    attributes it has."""
    if isinstance(value, dict):
        return not text_of(value) and all(name[:1] in ("@", "$") for name in value)
    return text_of(value) == ""


def is_nil(element: dict[str, Any]) -> bool:
    """Whether XML says that an element is not there (``xsi:nil``)."""
    return element.get("@nil") in ("true", "1")


def text_of(value: Any) -> str | None:
    """A leaf as text; None of what is no leaf. Of an XML element with attributes it is the text."""
    if isinstance(value, dict):
        value = value.get("$")
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, list | dict):
        return None
    if isinstance(value, Decimal):  # 7.0 is 7, and no exponent
        small = value.is_finite() and abs(value.adjusted()) < 40
        return f"{value.normalize():f}" if small else str(value)
    return str(value).strip()
