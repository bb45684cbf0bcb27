"""Rule sets as people write them: YAML or JSON text, with errors that point at the line.

YAML is read by PyYAML's safe loader, which keeps where each node began; JSON is YAML.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
import yaml

from tillstream.domain.fraud.places import Places
from tillstream.domain.fraud.ruleset import (
    InvalidRules,
    Problem,
    Rules,
    RuleSet,
    compile_rules,
    problem_of,
)

MAX_BYTES = 4_000_000
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+|\.\.\.)\]")


class LinedProblem(NamedTuple):
    """A problem of a rule set's text: line and column from 1."""

    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.path}: {self.message}"


class InvalidRulesText(ValueError):
    """The text is not a rule set that can be used; ``problems`` in the order of lines."""

    def __init__(self, problems: list[LinedProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def read_rules(text: str, places: Places) -> Rules:
    """The rule set in ``text``, ready to judge with. Raises InvalidRulesText, and nothing else."""
    try:
        node, document = _parsed(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidRulesText([_unreadable(error)]) from None
    problems = []
    try:
        data = msgspec.convert(document, RuleSet)
    except msgspec.ValidationError as error:
        problems = [problem_of(error)]
    else:
        try:
            rules = compile_rules(data, places)
        except InvalidRules as error:
            problems = error.problems
        else:
            return rules
    raise InvalidRulesText(sorted(_placed(problem, node) for problem in problems))


def canonical(data: RuleSet) -> bytes:
    """The JSON that travels: the same bytes for the same rule set; defaults are written out."""
    return msgspec.json.encode(data, order="deterministic")


def default_text() -> str:
    """The rule set the job starts with, as it is shipped."""
    return files("tillstream.domain.fraud").joinpath("default.yaml").read_text(encoding="utf-8")


def _parsed(text: str) -> tuple[yaml.Node | None, Any]:
    if len(text) > MAX_BYTES:
        raise ValueError(f"longer than {MAX_BYTES} characters")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, None
        _refuse_tricks(node, set())
        return node, loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_tricks(node: yaml.Node, seen: set[int]) -> None:
    """No aliases (they can make a small text huge) and no key twice (the last would win silently)."""
    if id(node) in seen:
        raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=node.start_mark)
    if isinstance(node, yaml.CollectionNode):
        seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if key.value in keys:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} is there twice", problem_mark=key.start_mark
                )
            keys.add(key.value)
            _refuse_tricks(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_tricks(value, seen)


def _unreadable(error: Exception) -> LinedProblem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).split("\n")[0]
    if mark is None:
        return LinedProblem(1, 1, "$", what)
    return LinedProblem(mark.line + 1, mark.column + 1, "$", what)


def _placed(problem: Problem, node: yaml.Node | None) -> LinedProblem:
    """The line of the deepest node on the way of the problem's path; for what is missing, its parent.

    An unknown field is named in msgspec's message, not in its path: then the field's own line.
    """
    path = problem.path
    unknown = re.match(r"Object contains unknown field `(.+)`", problem.message)
    if unknown:
        path += f".{unknown.group(1)}"
    if node is None:
        return LinedProblem(1, 1, problem.path, problem.message)
    mark = node.start_mark
    at: yaml.Node = node
    for name, place in _STEP.findall(path):
        if name and isinstance(at, yaml.MappingNode):
            found = [(k, v) for k, v in at.value if k.value == name]
            if not found:
                break
            key, at = found[0]
            mark = key.start_mark
        elif place.isdigit() and isinstance(at, yaml.SequenceNode) and int(place) < len(at.value):
            at = at.value[int(place)]
            mark = at.start_mark
        else:
            break
    return LinedProblem(mark.line + 1, mark.column + 1, problem.path, problem.message)
