"""What of a record a mapping looks at nowhere: how a forgotten discount is found."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from tillstream.domain.mapping.paths import Scope, text_of
from tillstream.domain.mapping.trees import OTHER_LINES


class LookedAt:
    """Follows the reading of one record."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, str]] = set()
        self._offered: dict[str, dict[int, Any]] = defaultdict(dict)
        self._taken: set[int] = set()
        self._of_header: set[int] = set()  # objects that the header's fields looked into

    def scope(self, node: Any, document: Any) -> Scope:
        return Scope(node, node, document, self._visit, self._offer, self._take)

    def _visit(self, node: dict[str, Any], name: str) -> None:
        self._seen.add((id(node), name))

    def _offer(self, path: str, element: Any) -> None:
        if not self._offered:  # the header is read before all parts
            self._of_header = {node for node, _ in self._seen}
        self._offered[path][id(element)] = element

    def _take(self, element: Any) -> None:
        self._taken.add(id(element))

    def unread(self, record: Any) -> Counter[str]:
        """How many: values that no path led to, by their places; elements that no rule took, by their path
        and what is in them; lines of a text that no pattern matched."""
        said = self._leaves(record)
        for path, elements in self._offered.items():
            only = len(elements) == 1
            for at, (key, element) in enumerate(elements.items()):
                if key in self._taken or self._took_part_of(element):
                    continue
                if (
                    only and key in self._of_header
                ):  # a part of the header, no line that is forgotten
                    continue
                inside = "+".join(_nested(element)) if isinstance(element, dict) else ""
                what = (
                    f"{path}: no rule takes {inside}"
                    if inside
                    else f"{path}[{at}]: no rule takes it"
                )
                said[what] += 1
        if isinstance(record, dict):
            said.update(f"line: {line['text']}" for line in record.get(OTHER_LINES, ()))
        return said

    def _took_part_of(self, node: Any) -> bool:
        if isinstance(node, list):
            return any(self._took_part_of(element) for element in node)
        if not isinstance(node, dict):
            return False
        return id(node) in self._taken or any(map(self._took_part_of, node.values()))

    def _leaves(self, record: Any) -> Counter[str]:
        """Of values that are neither blank nor zero, in elements that no path led to anywhere."""
        counted: Counter[str] = Counter()
        read: set[str] = set()

        def walk(node: Any, at: str) -> None:
            if isinstance(node, list):
                for element in node:
                    walk(element, at)
            elif isinstance(node, dict):
                for name, child in node.items():
                    if name in ("$", "@xmlns", OTHER_LINES):
                        continue
                    place = f"{at}.{name}" if at else name
                    if (id(node), name) in self._seen:
                        read.add(place)
                    elif text_of(child) not in (None, "", "0", "0.0", "0.00", "0.000", "false"):
                        counted[place] += 1
                    walk(child, place)

        walk(record, "")
        return Counter({place: n for place, n in counted.items() if place not in read})


def _nested(element: dict[str, Any]) -> list[str]:
    """Names of what an element is made of; of one that holds only values none."""
    return [name for name, child in element.items() if isinstance(child, dict)]
