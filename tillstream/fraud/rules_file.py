"""Rule sets in YAML or JSON files: read, checked, each problem with its line."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from tillstream.conf.layers import ODD_NUMBER
from tillstream.domain.fraud.places import Places
from tillstream.domain.fraud.ruleset import InvalidRules, Rules, load_rules
from tillstream.domain.rates import ONE_CURRENCY, Rates
from tillstream.errors import Problems

MAX_FILE_BYTES = 2_000_000


class RulesFileError(Problems):
    """The file holds no usable rule set; one line for each problem, ``file:line: what``."""

    def lines(self) -> list[str]:
        return self.problems


class _Plain(yaml.SafeLoader):
    """YAML without tags, which are for other things, and without anchors and aliases, of which a few
    lines can stand for gigabytes. What cannot be made a value, such as the date 2026-13-01, is an
    error with its place like any other."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()
        what = None
        if event.anchor is not None:
            what = "anchors and aliases (&name, *name) are not taken: write the value out"
        elif event.tag is not None:
            what = f"tags such as {event.tag} are not taken"
        if what:
            raise ComposerError(None, None, what, event.start_mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            if node.tag == "tag:yaml.org,2002:int" and ODD_NUMBER.match(node.value):
                raise ValueError("write it without a leading 0 or colons")
            value = super().construct_object(node, deep)
            if isinstance(value, int) and abs(value) >= 2**63:
                raise ValueError("more than 64 bits")
        except ValueError as error:
            kind = node.tag.rpartition(":")[2]
            raise ConstructorError(None, None, f"no {kind}: {error}", node.start_mark) from None
        return value


class RulesFile(NamedTuple):
    """raw: the rule set's JSON, as it travels. rules: made ready to judge with."""

    raw: bytes
    rules: Rules


def read_rules(
    path: Path | str, places: Places | None = None, rates: Rates = ONE_CURRENCY
) -> RulesFile:
    """The rule set in a file, ready to judge sales of ``places``. Raises RulesFileError with every
    problem and its line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise RulesFileError([f"{path}: {reason}"]) from None
    return parse_rules(text, str(path), places, rates)


def parse_rules(
    text: str, name: str, places: Places | None = None, rates: Rates = ONE_CURRENCY
) -> RulesFile:
    """The same from a text; ``name`` is what problems call it."""
    if len(text) > MAX_FILE_BYTES:
        raise RulesFileError([f"{name}: larger than {MAX_FILE_BYTES:,} bytes"])
    try:
        loader = _Plain(text)
        node = loader.get_single_node()
        if node is None:
            raise RulesFileError([f"{name}:1: the file is empty"])
        if wrong := _wrong_keys(node):
            raise RulesFileError([f"{name}:{line}: {what}" for line, what in wrong])
        document = loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise RulesFileError([f"{name}:{line}: {what}"]) from None
    except RecursionError:
        raise RulesFileError([f"{name}: nested too deeply"]) from None
    try:
        raw = orjson.dumps(document)
    except TypeError:  # half of a surrogate pair
        raise RulesFileError([f"{name}: a text that is not Unicode"]) from None
    try:
        return RulesFile(raw, load_rules(raw, places or {}, rates))
    except InvalidRules as error:
        raise RulesFileError(
            [f"{name}:{_line(node, p.path)}: {p.path}: {p.message}" for p in error.problems]
        ) from None


def starting_rules(path: str | None) -> bytes:
    """JSON of the rule set a job starts with: of the file, or the packaged one."""
    return (read_rules(path) if path else packaged_rules()).raw


def packaged_rules(places: Places | None = None, rates: Rates = ONE_CURRENCY) -> RulesFile:
    """The rule set that comes with the package."""
    file = files("tillstream.domain.fraud").joinpath("default.yaml")
    return parse_rules(file.read_text(encoding="utf-8"), "default.yaml", places, rates)


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


def _wrong_keys(node: Any) -> list[tuple[int, str]]:
    """(line, what) of keys that are no text, or twice in a mapping: YAML would keep the last in
    silence."""
    found: list[tuple[int, str]] = []
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, yaml.MappingNode):
            names: set[str] = set()
            for name, value in one.value:
                line = name.start_mark.line + 1
                if name.tag != "tag:yaml.org,2002:str":
                    found.append((line, "a key must be a text"))
                elif name.value in names:
                    found.append((line, f"{name.value!r} is there twice"))
                else:
                    names.add(name.value)
                waiting.append(value)
        elif isinstance(one, yaml.SequenceNode):
            waiting += one.value
    return found
