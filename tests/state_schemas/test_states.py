"""Every keyed state of every function is listed with its life, and docs/state.md shows the list."""

from __future__ import annotations

import ast
import json

from tests.support import ROOT
from tillstream.state_schemas.keyed.states import STATES

STATES_OF_A_STAGE = ("kept", "rest")


def named_states() -> set[str]:
    """Names of the states that functions in udfs/ have as STATES_OF_A_STAGE, that jobs name for batched
    ones, and connectors for operators of the JVM."""
    found = set()
    of_the_jvm = [ROOT / f"tillstream/connectors/{name}.py" for name in ("sources", "tracking")]
    for path in [*(ROOT / "udfs").rglob("*.py"), *(ROOT / "jobs").glob("*.py"), *of_the_jvm]:
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[ast.expr] = []
            if isinstance(node, ast.ClassDef):
                said = [one for one in node.body if isinstance(one, ast.Assign)]
                names = [
                    one.value for one in said if ast.unparse(one.targets[0]) in STATES_OF_A_STAGE
                ]
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func).rpartition(".")[2]
                makes = called in ("process", "stage")  # the latter of `batched.Stages`
                names = [k.value for k in node.keywords if makes and k.arg == "state"]
                if ast.unparse(node.func) == "context.state":
                    names = node.args
                if called.endswith("StateDescriptor"):
                    assert path.name == "single.py", (
                        f"{path.name}: keeps a state that is not `kept`"
                    )
            for name in names:
                assert isinstance(name, ast.Constant), f"{path.name}:{node.lineno}: a literal"
                found.add(name.value)
    return found


def test_no_function_keeps_a_state_without_a_stated_life():
    assert named_states() == {state.name for state in STATES}, (
        "state_schemas/keyed/states.py lists every state with its life, or why it stays for ever"
    )


def test_every_state_belongs_to_an_operator_that_is_there():
    recorded = json.loads((ROOT / "tests/jobs/uids.json").read_text())
    for state in STATES:
        assert state.uid in recorded[state.job], f"{state.job} has no operator {state.uid}"


def test_a_state_is_found_by_operator_and_name_alone():
    assert len({(state.uid, state.name) for state in STATES}) == len(STATES)
