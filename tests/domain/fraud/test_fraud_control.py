"""Orders about rules: the last good one of each mode is in force, a bad one changes nothing."""

from __future__ import annotations

import json

import pytest

from tillstream.domain.fraud.control import MAX_ORDER_BYTES, InForce, Refused, apply_order
from tillstream.domain.fraud.ruleset import load_rules
from tillstream.reference import packaged_clocks

PLACES = packaged_clocks()


def rule_set(version: str = "v1", **changes) -> dict:
    made = {
        "schema": 1,
        "version": version,
        "review_at": 50,
        "hold_at": 80,
        "rules": [{"code": "large", "signal": "amount.ratio", "threshold": 3, "weight": 90}],
    }
    return made | changes


def order(mode: str = "live", version: str = "v1", rules=None, **changes) -> bytes:
    made = {"mode": mode, "version": version, "pushed_ms": 1, "by": "me", "rules": rules}
    return json.dumps(made | changes).encode()


START = InForce(load_rules(json.dumps(rule_set("start")).encode(), PLACES), None)


def test_a_good_set_takes_the_place_of_the_live_one():
    said, after = apply_order(order(rules=rule_set()), START, PLACES)
    assert said.mode == "live"
    assert (after.live.version, after.shadow) == ("v1", None)


def test_a_shadow_set_leaves_the_live_one_alone_and_can_be_ended():
    _, with_shadow = apply_order(order("shadow", rules=rule_set()), START, PLACES)
    assert (with_shadow.live.version, with_shadow.shadow.version) == ("start", "v1")
    _, without = apply_order(order("shadow-off", ""), with_shadow, PLACES)
    assert without == START


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not an order"),
        (b"\xff\xfe", "not an order"),
        (b"null", "not an order"),
        (b"[" * 100_000, "not an order"),
        (b'{"mode":"live"}', "not an order"),
        (order("loudly", rules=rule_set()), "not an order"),
        (order(rules=None), "Expected `object`"),
        (order(rules={}), "missing required field"),
        (order(version="v2", rules=rule_set("v1")), "the order says version v2"),
        (order(rules=rule_set(surprise=1)), "surprise"),
        (order(rules=rule_set(review_at=90)), "hold_at"),
        (order(rules=rule_set(rules=[])), "rules"),
        (b" " * (MAX_ORDER_BYTES + 1), "bytes, more than"),
    ],
)
def test_a_poisoned_order_is_refused_with_its_reason(raw, why):
    with pytest.raises(Refused, match=why):
        apply_order(raw, START, PLACES)


@pytest.mark.parametrize(
    "condition",
    [
        "__import__('os').system('true')",
        "amount.cents.__class__",
        "(lambda: 1)()",
        "amount.cents ** 9 ** 9 ** 9",
        "[x for x in range(10 ** 9)]",
        "no.such_signal > 1",
        "(" * 400 + "1" + ")" * 400,
    ],
)
def test_a_condition_that_is_code_is_refused(condition):
    poisoned = rule_set()
    poisoned["rules"][0]["when"] = condition
    with pytest.raises(Refused):
        apply_order(order(rules=poisoned), START, PLACES)
