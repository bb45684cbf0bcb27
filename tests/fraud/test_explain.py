"""An analyst's question is answered in two seconds, of which starting takes little."""

from __future__ import annotations

import msgspec
import pytest

from tests.support.imports import imported
from tillstream.conf import load
from tillstream.domain.fraud.control import Order
from tillstream.fraud import rule_sets
from tillstream.fraud.rules_file import packaged_rules
from tillstream.fraud.topics import Message

HEAVY = {"pyflink", "pyarrow", "numpy", "pandas", "lightgbm", "apache_beam"}


def test_explain_starts_without_the_engine_and_other_heavy_libraries():
    program = (
        "from tillstream.cli import main; "
        "assert main.get_command(None, 'explain'); import tillstream.fraud.explain"
    )
    assert not HEAVY & imported(program)


def test_the_rules_that_judged_are_found_on_the_topic_whatever_else_is_there(
    monkeypatch: pytest.MonkeyPatch,
):
    rules = msgspec.Raw(packaged_rules().raw)
    version = packaged_rules().rules.version
    orders = [
        msgspec.json.encode(Order("live", version, 1, "tester", rules)),
        b"\xff",
        msgspec.json.encode(Order("shadow-off", version, 2, "tester")),
        msgspec.json.encode(Order("live", version, 3, "tester", msgspec.Raw(b"{}"))),
    ]
    topic = [Message(f"kafka:r/0/{n}", n, order) for n, order in enumerate(orders)]
    monkeypatch.setattr(rule_sets, "read_all", lambda conf, name: topic)
    found = rule_sets.of_version(load("local"), version)
    assert found == packaged_rules().rules.data
    assert rule_sets.of_version(load("local"), "never-pushed") is None
