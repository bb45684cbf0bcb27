"""A sale of a till that was offline: its goods are gone when it is judged."""

from __future__ import annotations

import json

import pytest

from tests.support.fraud_chain import LABELS, Chain, label_of
from tests.support.fraud_chain import sale as document
from tests.udfs.test_fraud_functions import NIGHT, regular, stolen_card

MINUTE = 60_000


@pytest.fixture
def chain() -> Chain:
    made = Chain()
    regular(made)
    return made


def test_a_sale_that_comes_three_hours_late_is_a_case_and_neither_held_nor_texted(chain):
    chain.send(stolen_card(), NIGHT + 180 * MINUTE)
    assert not chain.out["holds"]
    assert [(n["kind"], n["template"]) for n in chain.out["notices"]] == [("alert", "fraud-review")]
    (case,) = chain.out["cases"]
    assert case["outcome"] == "review"
    assert case["reasons"].endswith("too_late_to_hold")
    assert case["watched_until_ms"] == NIGHT + 72 * 60 * MINUTE
    decision = json.loads(chain.out["explanations"][0]["decision"])
    assert decision["score"] >= decision["hold_at"]
    (reason,) = [r for r in decision["reasons"] if r["code"] == "too_late_to_hold"]
    assert (reason["signal"], reason["value"], reason["threshold"], reason["points"]) == (
        "sale.late_minutes", 180, 30, 0)  # fmt: skip


def test_up_to_half_an_hour_it_is_held(chain):
    chain.send(stolen_card(), NIGHT + 30 * MINUTE)
    assert [hold["action"] for hold in chain.out["holds"]] == ["hold"]


def test_it_is_not_learnt_so_its_owner_at_home_is_not_the_next_suspect_but_is_watched(chain):
    chain.send(stolen_card(), NIGHT + 180 * MINUTE)
    chain.judge.function.audit_passes = True
    chain.send(document(600, NIGHT + 200 * MINUTE))
    told = json.loads(chain.out["audit"][-1]["decision"])
    assert (told["outcome"], told["watched"], told["signals"]["place.km"]) == ("pass", True, 0)


def test_a_verdict_about_it_says_nothing_to_the_payment_system_and_ends_the_watch(chain):
    chain.send(stolen_card(), NIGHT + 180 * MINUTE)
    said_ms = NIGHT + 200 * MINUTE
    chain.send(label_of(stolen_card(), False, said_ms), said_ms, LABELS)
    assert not chain.out["holds"]
    assert chain.out["cases"][-1]["status"] == "released"
    chain.judge.function.audit_passes = True
    chain.send(document(600, NIGHT + 220 * MINUTE))
    assert not json.loads(chain.out["audit"][-1]["decision"])["watched"]


def test_the_rule_set_says_how_late_is_too_late():
    from tillstream.fraud.rules_file import packaged_rules

    rules = json.dumps(json.loads(packaged_rules().raw) | {"late_minutes": 240}).encode()
    chain = Chain(rules)
    regular(chain)
    chain.send(stolen_card(), NIGHT + 180 * MINUTE)
    assert [hold["action"] for hold in chain.out["holds"]] == ["hold"]
