"""A contract as JSON Schema beside the same as code: both must judge every document alike."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from tillstream.domain.transaction import REASONS, InvalidTransaction

Parse = Callable[[bytes], Any]
_TYPES = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, v: type(v) is int)


def validator(path: Path) -> Any:
    """jsonschema with the contract's own reading of `integer` and of `$` as the end of the text."""
    schema = json.loads(path.read_text(), object_hook=_python_patterns)
    return extend(Draft202012Validator, type_checker=_TYPES)(schema)


def _python_patterns(node: dict[str, Any]) -> dict[str, Any]:
    if isinstance(node.get("pattern"), str):  # Python's $ also matches before a last newline
        node["pattern"] = re.sub(r"\$$", r"\\Z", node["pattern"])
    return node


def judge_example(path: Path, parse: Parse, accepted_by_schema: Callable[[Any], bool]) -> None:
    """An example is in ``valid/``, or in ``invalid/`` with its name beginning with the reason."""
    valid = path.parts[-2] == "valid"
    assert accepted_by_schema(json.loads(path.read_bytes())) == valid
    if valid:
        parse(path.read_bytes())
        return
    with pytest.raises(InvalidTransaction) as refused:
        parse(path.read_bytes())
    assert refused.value.reason == path.stem.partition("--")[0]


def accepted_by_code(parse: Parse, document: Any) -> bool:
    try:
        parse(json.dumps(document).encode())
    except InvalidTransaction as error:
        return error.reason not in REASONS  # an unknown reason is a failure
    return True


def changed(path: Path, schema: Any, odd: Any, data: Any) -> dict[str, Any]:
    """The example with a field or two that are others, or are gone."""
    document: dict[str, Any] = copy.deepcopy(json.loads(path.read_bytes()))
    for _ in range(data.draw(st.integers(1, 2))):
        name = data.draw(st.sampled_from([*schema.schema["properties"], "colour"]))
        if data.draw(st.booleans()):
            document[name] = data.draw(odd)
        else:
            document.pop(name, None)
    return document
