"""Mappings in files: those of the package, by name, and a grocer's own, by path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tillstream.conf import RESOURCES, ConfError
from tillstream.domain.mapping.mapper import Mapper
from tillstream.domain.mapping.spec import MappingProblem, Where, read

FOLDER = RESOURCES / "conf" / "mappings"
MOST_VALUES = 100_000
_YAML = "tag:yaml.org,2002:"


class MappingError(ConfError):
    """A mapping that is not there or cannot be used; the message names file and line."""


class _Loader(yaml.SafeLoader):
    """YAML as its version 1.2 has it: `no`, `on`, 0120, 12:30 and 2026-11-29 are texts. Names are texts, and
    none is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == f"{_YAML}merge":
                continue
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or name in seen:
                said = "is no name" if name is None else f"{name} is set twice"
                raise yaml.MarkedYAMLError(problem=said, problem_mark=key.start_mark)
            seen.add(key.value)
        self.flatten_mapping(node)  # what is merged in comes first, what is said here goes over it
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


_Loader.yaml_implicit_resolvers = {}
for _tag, _form, _first in (
    ("bool", r"true|false", "tf"),
    ("int", r"-?(?:0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(?:0|[1-9][0-9]*)\.[0-9]+", "-0123456789"),
    ("null", r"null|~", "n~"),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"{_YAML}{_tag}", re.compile(rf"^(?:{_form})$"), list(_first))


def packaged() -> list[str]:
    """Names of the mappings that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(said: str) -> Mapper:
    """The mapping of that name or file. Raises MappingError."""
    path = Path(said)
    if path.suffix not in (".yaml", ".yml"):
        if said not in packaged():
            raise MappingError(
                f"there is no mapping {said}: there are {', '.join(packaged())}; a mapping of your own is a "
                "YAML file, given by its path"
            )
        path = FOLDER / f"{said}.yaml"
    return _load(path)


def all_packaged() -> Iterator[Mapper]:
    return (load(name) for name in packaged())


@cache
def _load(path: Path) -> Mapper:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is not UTF-8"
        raise MappingError(f"{path} cannot be read: {why}") from None
    try:
        document = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = error.problem if error.problem and "twice" in error.problem else "is not valid YAML"
        raise MappingError(f"{path}{where}: {what}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise MappingError(f"{path}: is not valid YAML") from None
    if _size(document, MOST_VALUES) < 0:
        raise MappingError(
            f"{path} says more than {MOST_VALUES:,} things: an alias of aliases, perhaps"
        )
    try:
        return Mapper(read(document))
    except MappingProblem as problem:
        line = _line(text, problem.where)
        raise MappingError(f"{path}, line {line}: {problem}") from None


def _size(node: Any, left: int) -> int:
    """How many more values than ``node`` holds there may be; below 0, too many."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    left -= 1
    for child in children:
        if left < 0:
            break
        left = _size(child, left)
    return left


def _line(text: str, where: Where) -> int:
    """Of what keys and positions lead to, or of the last of them that is there; from 1."""
    node = yaml.compose(text, Loader=_Loader)
    if node is None:
        return 1
    mark = node.start_mark.line
    for step in where:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(step)), None)
            if pair is None:
                break
            mark, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            if step >= len(node.value):
                break
            node = node.value[step]
            mark = node.start_mark.line
        else:
            break
    return int(mark) + 1
