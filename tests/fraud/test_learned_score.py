"""A rule set with a model: one score, which ranks, can be explained, and never lets go what rules hold."""

from __future__ import annotations

from math import nan

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import ROOT
from tests.support.fraud_shop import HOUR, MIDNIGHT, OTHER, PLACES, RULES, Shop, sale
from tillstream.domain.fraud.judge import points, weigh
from tillstream.domain.fraud.model import MOST, Model
from tillstream.domain.fraud.ruleset import Rule, Rules, compile_rules, load_rules
from tillstream.domain.fraud.signals import NAMES
from tillstream.fraud.rules_file import read_rules
from tillstream.fraud.training import with_model

CARDS = read_rules(ROOT / "benchmarks" / "fraud" / "rules.yaml", PLACES).rules
EVIDENCE = st.floats(-9, 3, allow_nan=False)
MEASURED = st.lists(
    st.one_of(st.just(nan), st.floats(0, 1e6)), min_size=len(NAMES) - 2, max_size=len(NAMES) - 2
).map(lambda values: [*values, nan, nan])


def saying(log_odds: float, rules: Rules = RULES) -> Rules:
    """The rules with a model that says the same of every sale."""
    model = Model("says", ("amount.ratio",), log_odds, ())
    return compile_rules(with_model(rules.data, model), PLACES)


@pytest.mark.parametrize("log_odds", [-1e300, -12.0, 0.0, 1e300])
def test_a_stolen_card_at_ten_times_the_usual_at_night_is_held_whatever_the_model_says(log_odds):
    shop = Shop(saying(log_odds))
    shop.has_a_customer()
    stolen = sale(99, MIDNIGHT + 2 * HOUR, 400_000, 156, card_token=OTHER)
    assert shop.takes(stolen).outcome == "hold"


@pytest.mark.parametrize(("log_odds", "outcome"), [(-7, "pass"), (1e300, "review")])
def test_a_model_alone_can_ask_a_person_to_look_and_hold_nothing(log_odds, outcome):
    decision = Shop(saying(log_odds)).takes(sale(1, MIDNIGHT + 12 * HOUR, 30_000))
    assert decision.outcome == outcome
    assert decision.score <= 60
    msgspec.json.decode(msgspec.json.encode(decision), type=type(decision))


@given(MEASURED, EVIDENCE, EVIDENCE)
@settings(deadline=None)
def test_of_two_sales_that_rules_say_the_same_of_the_likelier_fraud_has_the_higher_score(
    signals, one, other
):
    low, high = sorted((one, other))
    if high - low < 1e-6:
        return
    for rules in (RULES, CARDS):
        assert points(saying(low, rules), signals) < points(saying(high, rules), signals)


@given(MEASURED, st.floats(-2 * MOST, 2 * MOST))
@settings(deadline=None)
def test_a_model_adds_from_nothing_to_60_points_to_those_of_the_rules(signals, log_odds):
    for rules in (RULES, CARDS):
        added = points(saying(log_odds, rules), signals) - points(rules, signals)
        assert -1e-6 <= added <= 60 + 1e-6


@given(MEASURED, EVIDENCE)
@settings(deadline=None)
def test_reasons_sum_to_the_score_with_a_model_as_without(signals, log_odds):
    txn = sale(1, MIDNIGHT, 30_000)
    for rules in (RULES, CARDS, saying(log_odds), saying(log_odds, CARDS)):
        decision = weigh(None, txn, signals, rules, MIDNIGHT, MIDNIGHT)
        assert decision.score == pytest.approx(sum(reason.points for reason in decision.reasons))
        for reason in decision.reasons:
            assert reason.value >= reason.threshold


@given(st.floats(0, 10), st.floats(0, 10))
@settings(deadline=None)
def test_rules_for_cards_alone_tie_nowhere_between_their_thresholds(one, other):
    """4 points for any fraud at a till and 15 for a run, whatever else was known, tied and misled."""
    low, high = sorted((one, other))
    if high - low < 1e-6:
        return
    for name, scale, at in (("terminal.risk_7d", 0.0005, 0.0), ("amount.ratio", 0.82, 1.8)):
        signals = [nan] * len(NAMES)
        signals[NAMES.index(name)] = at + low * scale
        less = points(CARDS, signals)
        signals[NAMES.index(name)] = at + high * scale
        assert points(CARDS, signals) > less


def test_a_fraud_of_late_with_honest_sales_known_since_gives_no_points():
    signals = [nan] * len(NAMES)
    for name, value in (("terminal.frauds_28d", 1), ("terminal.run_frauds", 1),
                        ("terminal.run_days", 8), ("terminal.honest_since", 1)):  # fmt: skip
        signals[NAMES.index(name)] = value
    assert points(CARDS, signals) == 0
    signals[NAMES.index("terminal.honest_since")] = 0
    assert points(CARDS, signals) == 30


def test_a_set_of_before_that_asks_for_the_probability_alone_scores_as_before():
    learned = Rule("learned_score", 0.0, 50.0, "model.score", full=1.0)
    model = Model("m", ("amount.ratio",), -2.0, ())
    data = msgspec.structs.replace(RULES.data, rules=(*RULES.data.rules, learned), model=model)
    before = load_rules(msgspec.json.encode(data), PLACES)
    assert points(before, [nan] * len(NAMES)) == pytest.approx(50 / (1 + 2.718281828**2))
