"""Rule sets as data: what they may say, and that nothing else can be said."""

from __future__ import annotations

import json
from math import nan
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import ROOT
from tests.support.fraud_shop import PLACES, RULES
from tillstream.domain.fraud.expressions import InvalidCondition, compile_condition
from tillstream.domain.fraud.judge import points
from tillstream.domain.fraud.model import Model, Tree, compile_model, probability
from tillstream.domain.fraud.ruleset import INDEX, InvalidRules, RuleSet, load_rules
from tillstream.domain.fraud.signals import NAMES

SCHEMA = ROOT / "state_schemas" / "events" / "fraud_ruleset" / "v1.json"
ORDER = {"a.x": 0, "a.y": 1, "a.none": 2}
SIGNALS = [3.0, 0.0, nan]


def rule_set(**changes: Any) -> bytes:
    document = {
        "schema": 1,
        "version": "t1",
        "review_at": 50,
        "hold_at": 80,
        "rules": [{"code": "big", "signal": "amount.ratio", "threshold": 3, "weight": 40}],
    }
    return json.dumps(document | changes).encode()


def vector(**signals: float) -> list[float]:
    values = [nan] * len(NAMES)
    for name, value in signals.items():
        values[INDEX[name.replace("__", ".")]] = value
    return values


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("a.x >= 3", True),
        ("a.x > 3", False),
        ("a.x", True),
        ("a.y", False),
        ("not a.y", True),
        ("a.x and not a.y", True),
        ("1 < a.x <= 3", True),
        ("a.x + 2 * a.y == 3", True),
        ("-a.x < 0", True),
        ("a.none > 0", False),
        ("a.none <= 0", False),
        ("a.none", False),
        ("known(a.none)", False),
        ("known(a.x) and not known(a.none)", True),
        ("a.none > 1 or a.x > 1", True),
    ],
)
def test_a_condition_means_what_it_says(text, truth):
    assert bool(compile_condition(text, ORDER)(SIGNALS)) is truth


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "a.z > 1", "__import__('os')", "a.x.__class__", "(lambda: 1)() > 0",
        "a.x ** 9 > 1", "a.x / 0 > 1", "a.x % 2 == 1", "'a' > 1", "[a.x] > 1", "a.x > 1e400",
        "a.x if a.y else 1", "known(1)", "known(a.x, a.y)", "known(1) > 0", "open(a.x)", "a.x := 1",
        "a.x != 1", "s[0] > 1", "a.x > True", "a.x is 1", "a.x in a.y",
        "a.x > 1 and " * 100 + "a.y", "a.x > 1; 2", "a.x\n> 1", "~a.x > 1", "*a.x", "{1} > 1",
    ],
)  # fmt: skip
def test_nothing_else_can_be_said(text):
    with pytest.raises(InvalidCondition):
        compile_condition(text, ORDER)


@given(st.text(alphabet="a.xy0 1><=andornt()+-*[]_'\"", max_size=40))
def test_any_text_is_a_condition_or_refused(text):
    try:
        condition = compile_condition(text, ORDER)
    except InvalidCondition:
        return
    condition(SIGNALS)


def test_points_come_at_once_or_grow_evenly():
    step = load_rules(rule_set(), PLACES)
    assert points(step, vector(amount__ratio=2.9)) == 0
    assert points(step, vector(amount__ratio=3.0)) == 40
    rule = {"code": "big", "signal": "amount.ratio", "threshold": 3, "full": 5, "weight": 40}
    grown = load_rules(rule_set(rules=[rule | {"when": "amount.z > 2"}]), PLACES)
    assert points(grown, vector(amount__ratio=4.0, amount__z=3.0)) == 20
    assert points(grown, vector(amount__ratio=9.0, amount__z=3.0)) == 40
    assert points(grown, vector(amount__ratio=9.0, amount__z=1.0)) == 0
    assert points(grown, vector(amount__ratio=9.0)) == 0


def test_a_velocity_names_its_key_window_and_measure():
    rules = load_rules(
        rule_set(
            rules=[
                {
                    "code": "often",
                    "velocity": {"by": "card", "window": "10m", "of": "cents"},
                    "threshold": 100,
                    "weight": 7,
                }
            ]
        ),
        PLACES,
    )
    assert points(rules, vector(card__cents_10m=100)) == 7


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"hold_at": 10}, "$.hold_at", "below review_at"),
        ({"version": "a b"}, "$.version", "matching regex"),
        ({"rules": []}, "$.rules", "length >= 1"),
        ({"extra": 1}, "$", "unknown field `extra`"),
        ({"watch": {"review_at": 99, "hold_at": 99}}, "$.watch", "more mildly"),
        ({"rules": [{"code": "big", "threshold": 1, "weight": 1}]}, "$.rules[0]", "needs either"),
        (
            {"rules": [{"code": "big", "signal": "no.such", "threshold": 1, "weight": 1}]},
            "$.rules[0].signal",
            "no signal 'no.such'",
        ),
        (
            {"rules": [{"code": "m", "signal": "model.score", "threshold": 0, "weight": 1}]},
            "$.rules[0].code",
            "matching regex",
        ),
        (
            {"rules": [{"code": "ml", "signal": "model.score", "threshold": 0, "weight": 1}]},
            "$.rules[0].signal",
            "needs a model",
        ),
        (
            {"rules": [{"code": "bb", "signal": "hour.z", "threshold": 1, "weight": 9999}]},
            "$.rules[0].weight",
            "<= 1000",
        ),
        (
            {"rules": [{"code": "bb", "signal": "hour.z", "threshold": 1, "weight": 1, "full": 1}]},
            "$.rules[0].full",
            "above threshold",
        ),
        (
            {
                "rules": [
                    {"code": "bb", "signal": "hour.z", "threshold": 1, "weight": 1, "when": "1 +"}
                ]
            },
            "$.rules[0].when",
            "not an expression",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(changes, path, message):
    with pytest.raises(InvalidRules) as caught:
        load_rules(rule_set(**changes), PLACES)
    assert any(p.path == path and message in p.message for p in caught.value.problems)


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"\xff", b"{", b'{"schema": 2}', b"1" * 5000])
def test_poison_is_refused(raw):
    with pytest.raises(InvalidRules):
        load_rules(raw, PLACES)


@given(st.binary(max_size=100))
def test_any_bytes_are_refused_and_raise_nothing_else(raw):
    with pytest.raises(InvalidRules):
        load_rules(raw, PLACES)


def test_the_schema_for_people_is_that_of_the_types():
    assert json.loads(SCHEMA.read_text()) == json.loads(
        msgspec.json.encode(msgspec.json.schema(RuleSet))
    ), "write it anew: python -m tillstream.state_schemas.events.fraud_ruleset"


def test_the_packaged_rules_fit_the_schema():
    jsonschema.validate(json.loads(msgspec.json.encode(RULES.data)), json.loads(SCHEMA.read_text()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(rule_set(rules=[])), json.loads(SCHEMA.read_text()))


def stump(threshold: float, low: float, high: float, missing_left: bool = False) -> Tree:
    return Tree(
        (0, -1, -1), (threshold, low, high), (1, 0, 0), (2, 0, 0), (missing_left, False, False)
    )


def test_a_model_adds_its_trees_on_the_scale_of_log_odds():
    model = Model("m", ("a.x",), -1.0, (stump(2, -1, 1), stump(5, -2, 0)))
    score = compile_model(model, ORDER)
    assert score([3.0, 0, 0]) == -2
    assert score([9.0, 0, 0]) == 0
    assert probability(0) == 0.5
    assert probability(-2) == pytest.approx(1 / (1 + 2.718281828**2))


@pytest.mark.parametrize(("missing_left", "margin"), [(True, -1), (False, 1)])
def test_what_could_not_be_measured_goes_where_the_tree_says(missing_left, margin):
    score = compile_model(Model("m", ("a.none",), 0.0, (stump(2, -1, 1, missing_left),)), ORDER)
    assert score(SIGNALS) == margin


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Model("m", ("no.such",), 0.0, ()), "no signal"),
        (Model("m", ("a.x",), float("inf"), ()), "finite"),
        (Model("m", ("a.x",), 0.0, (Tree((), (), (), (), ()),)), "empty"),
        (Model("m", ("a.x",), 0.0, (Tree((0,), (1.0,), (0,), (0,), (True,)),)), "onwards"),
        (Model("m", ("a.x",), 0.0, (Tree((3,), (1.0,), (0,), (0,), (True,)),)), "no such feature"),
    ],
)
def test_a_model_that_is_none_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        compile_model(model, ORDER)


def test_a_rule_may_ask_the_model():
    model = {
        "version": "m1", "features": ["amount.ratio"], "bias": 0.0,
        "trees": [[[0, -1, -1], [2.0, -3.0, 3.0], [1, 0, 0], [2, 0, 0], [False, False, False]]],
    }  # fmt: skip
    raw = rule_set(
        model=model,
        rules=[{"code": "learned", "signal": "model.score", "threshold": 0.5, "weight": 60}],
    )
    rules = load_rules(raw, PLACES)
    assert points(rules, vector(amount__ratio=9.0)) == 60
    assert points(rules, vector(amount__ratio=1.0)) == 0
