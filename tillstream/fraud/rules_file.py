"""Rule sets in YAML or JSON files: read, checked, each problem with its line."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import yaml

from tillstream.domain.fraud import InvalidRules, Rules, load_rules, packaged_places

MAX_FILE_BYTES = 2_000_000


class RulesFileError(ValueError):
    """The file holds no usable rule set; one line for each problem, ``file:line: what``."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class RulesFile(NamedTuple):
    """raw: the rule set's JSON, as it travels. rules: made ready to judge with."""

    name: str
    raw: bytes
    rules: Rules


def read_rules(path: Path | str) -> RulesFile:
    """The rule set in a file. Raises RulesFileError with every problem and its line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise RulesFileError([f"{path}: {reason}"]) from None
    return parse_rules(text, str(path))


def parse_rules(text: str, name: str) -> RulesFile:
    """The same from a text; ``name`` is what problems call it."""
    if len(text) > MAX_FILE_BYTES:
        raise RulesFileError([f"{name}: larger than {MAX_FILE_BYTES:,} bytes"])
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise RulesFileError([f"{name}:{line}: {what}"]) from None
    except RecursionError:
        raise RulesFileError([f"{name}: nested too deeply"]) from None
    if node is None:
        raise RulesFileError([f"{name}:1: the file is empty"])
    if doubled := _doubled(node):
        raise RulesFileError([f"{name}:{line}: {key!r} is there twice" for line, key in doubled])
    try:
        raw = orjson.dumps(document)
        return RulesFile(name, raw, load_rules(raw, packaged_places()))
    except TypeError as error:
        raise RulesFileError([f"{name}: {error}"]) from None
    except InvalidRules as error:
        raise RulesFileError(
            [f"{name}:{_line(node, p.path)}: {p.path}: {p.message}" for p in error.problems]
        ) from None


def starting_rules(path: str | None) -> bytes:
    """JSON of the rule set a job starts with: of the file, or the packaged one."""
    return (read_rules(path) if path else packaged_rules()).raw


def packaged_rules() -> RulesFile:
    """The rule set that comes with the package."""
    file = files("tillstream.domain.fraud").joinpath("default.yaml")
    return parse_rules(file.read_text(encoding="utf-8"), "default.yaml")


def _line(node: Any, path: str) -> int:
    """Line of the node at a path such as ``$.rules[3].when``, or of what is nearest to it."""
    for key, index in re.findall(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]", path):
        found = None
        if isinstance(node, yaml.MappingNode) and key:
            found = next((value for name, value in node.value if name.value == key), None)
        elif isinstance(node, yaml.SequenceNode) and index.isdigit():
            found = node.value[int(index)] if int(index) < len(node.value) else None
        if found is None:
            break
        node = found
    return node.start_mark.line + 1


def _doubled(node: Any) -> list[tuple[int, str]]:
    """(line, key) of keys that a mapping has twice: YAML would keep the last in silence."""
    found: list[tuple[int, str]] = []
    waiting, seen = [node], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, yaml.MappingNode):
            names: set[str] = set()
            for name, value in one.value:
                if name.value in names:
                    found.append((name.start_mark.line + 1, name.value))
                names.add(name.value)
                waiting.append(value)
        elif isinstance(one, yaml.SequenceNode):
            waiting += one.value
    return found
