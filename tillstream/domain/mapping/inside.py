"""A document within a field of another, such as XML in base64 within JSON."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from tillstream.domain.mapping import trees
from tillstream.domain.mapping.conditions import path
from tillstream.domain.mapping.paths import Scope
from tillstream.domain.mapping.spec import InsideSpec, MappingProblem, Where
from tillstream.domain.transaction import InvalidTransaction


class Inside:
    """Raises MappingProblem where ``said`` cannot be used."""

    def __init__(self, said: InsideSpec, where: Where) -> None:
        if "[" in said.path or "/" in said.path:
            raise MappingProblem(
                (*where, "path"), "is from the top of the document, without filters"
            )
        self._path = path(said.path, (*where, "path"))
        self._said = said

    def opened(self, tree: Any) -> Any:
        """``tree`` with the documents in the place of the texts. What cannot be read stays a text, so that
        what is wanted of it is missing in that record and in no other; what is open already stays too."""
        seen: set[tuple[int, str]] = set()
        self._path.all(Scope(tree, tree, tree, lambda node, name: seen.add((id(node), name))))

        def rebuilt(node: Any) -> Any:
            if isinstance(node, list):
                return [rebuilt(one) for one in node]
            if not isinstance(node, dict):
                return node
            return {
                name: self._read(child)
                if isinstance(child, str) and (id(node), name) in seen
                else rebuilt(child)
                for name, child in node.items()
            }

        return rebuilt(tree) if seen else tree

    def _read(self, text: str) -> Any:
        try:
            raw = (
                b64decode("".join(text.split()), validate=True)
                if self._said.base64
                else text.encode()
            )
            # Not by what is kept: that is the document which this one is in.
            if self._said.form == "xml":
                return trees.xml_tree.__wrapped__(raw)
            found = trees.json_trees.__wrapped__(raw)
            return found[0] if len(found) == 1 else found
        except (binascii.Error, UnicodeEncodeError, InvalidTransaction):
            return text
