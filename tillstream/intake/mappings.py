"""Mappings in files: those of the package, by name, and a grocer's own, by path."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import yaml

from tillstream.conf import RESOURCES, ConfError, layers
from tillstream.domain.mapping.mapper import Mapper
from tillstream.domain.mapping.spec import MappingProblem, MappingSpec, read

FOLDER = RESOURCES / "conf" / "mappings"


class MappingError(ConfError):
    """A mapping that is not there or cannot be used; the message names file and line."""


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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is not UTF-8"
        raise MappingError(f"{path} cannot be read: {why}") from None
    document = layers.parse_yaml(text, str(path), msgspec.inspect.type_info(MappingSpec))
    try:
        return Mapper(read(document))
    except MappingProblem as problem:
        line = _line(text, problem.where)
        raise MappingError(f"{path}, line {line}: {problem}") from None


def _line(text: str, where: tuple[str | int, ...]) -> int:
    """Of what keys and positions lead to, or of the last of them that is there; from 1."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert node is not None  # it has been read
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
