"""After a crash an answer may be read before the sale it is about; and an answer may come twice."""

from __future__ import annotations

import json

import pytest

from tests.support.fraud_chain import LABELS, Chain, label_of, sale
from tests.udfs.test_fraud_functions import NIGHT, regular, stolen_card
from tests.udfs.test_fraud_replies import (
    CUSTOMER,
    MINUTE,
    answered,
    held,
    labels,
    others_buy,
    reply,
    why,
)
from tillstream.conf import load
from tillstream.fraud.texts import asking
from tillstream.state_schemas.keyed import fraud_profile
from tillstream.state_schemas.keyed.fraud_profile import _downgrade_3

HOUR = 60 * MINUTE
YES_MS = NIGHT + 5 * MINUTE


def before_the_hold(**answers) -> Chain:
    """A customer of habit, whose held sale of R4,000 is still to be read again."""
    chain = Chain()
    answers = {"release_cents": 500_000} | answers
    chain.judge.function.asking = asking(load("local", {"fraud": {"answers": answers}}))
    chain.judge.now_ms = NIGHT + 10 * MINUTE
    regular(chain)
    return chain


def comes_again(chain: Chain) -> None:
    """The sale, and the labels that follow."""
    chain.send(stolen_card())
    for label in labels(chain):
        chain.send(label, YES_MS, LABELS)


def actions(chain: Chain) -> list[str]:
    return [hold["action"] for hold in chain.out["holds"]]


def test_a_yes_that_is_read_before_its_sale_releases_it_when_it_is_held():
    chain = before_the_hold()
    chain.reply(reply(), YES_MS)
    assert not why(chain)
    comes_again(chain)
    assert actions(chain) == ["hold", "release"]
    said = [case for case in chain.out["cases"] if "customer_said" in case]
    assert [(one["customer_said"], one["version"]) for one in said] == [("yes", YES_MS)]
    assert chain.out["cases"][-1]["status"] == "released"
    assert not why(chain)
    # Nobody is told an hour later, and nothing is counted again.
    chain.judge.advance_to(NIGHT + 3 * HOUR)
    assert len(labels(chain)) == 1
    assert not why(chain)


def test_a_yes_that_waits_is_no_younger_for_it_and_releases_no_more():
    for limit, at_ms, said in (
        (200_000, YES_MS, "above_the_limit"), (500_000, NIGHT + 61 * MINUTE, "too_late"),
    ):  # fmt: skip
        chain = before_the_hold(release_cents=limit)
        chain.reply(reply(at_ms=at_ms), at_ms)
        comes_again(chain)
        assert actions(chain) == ["hold"]
        assert why(chain) == [("team:fraud", said)]


def test_a_no_that_waits_keeps_a_later_yes_from_releasing():
    chain = before_the_hold()
    chain.reply(reply("no"), YES_MS)
    chain.reply(reply("yes", YES_MS + MINUTE), YES_MS + MINUTE)
    comes_again(chain)
    assert actions(chain) == ["hold"]
    assert [found for _, found in why(chain)] == ["denied", "denied_before"]


def test_an_answer_about_a_sale_that_never_comes_is_told_after_the_time_it_may_wait():
    chain = before_the_hold()
    chain.reply(reply(transaction_id="0023-04-2025-000999"), YES_MS)
    chain.judge.advance_to(NIGHT + 10 * MINUTE + 59 * MINUTE)
    assert not why(chain)
    others_buy(chain, NIGHT + 6 * MINUTE)
    chain.judge.advance_to(NIGHT + 10 * MINUTE + 60 * MINUTE)
    assert why(chain) == [("team:fraud", "not_held")]
    (told,) = [n for n in chain.out["notices"] if n["template"] == "fraud-answer-yes"]
    assert told["cause"] == "0023-04-2025-000999:not_held"
    assert not chain.judge.timers


def test_an_answer_about_a_sale_that_is_judged_otherwise_the_second_time_is_told_at_once():
    chain = before_the_hold()
    chain.reply(reply(), YES_MS)
    chain.send(
        sale(500, NIGHT - 8 * HOUR, cents=31_000)
    )  # of the same id, and nothing to hold it for
    assert not actions(chain)
    assert why(chain) == [("team:fraud", "not_held")]


def test_a_job_that_stood_still_gives_the_sale_its_time_to_come():
    """Timers of a job that was down for three hours are due before it has read anything."""
    chain = before_the_hold()
    chain.reply(reply(), YES_MS)
    chain.judge.advance_to(NIGHT + 3 * HOUR)
    assert not why(chain)
    comes_again(chain)
    assert actions(chain) == ["hold", "release"]
    chain.judge.advance_to(NIGHT + 24 * HOUR)
    assert not why(chain)


def test_in_a_replay_of_hours_an_answer_waits_until_the_job_has_read_as_far_as_its_arrival():
    chain = before_the_hold()
    chain.reply(reply(), YES_MS)
    for minutes in range(0, 200, 61):
        others_buy(chain, NIGHT - HOUR + minutes * 1_000)  # the tills' topic is an hour behind
        chain.judge.advance_to(NIGHT + 10 * MINUTE + minutes * MINUTE)
    assert not why(chain)
    comes_again(chain)
    assert actions(chain) == ["hold", "release"]
    chain.judge.advance_to(NIGHT + 24 * HOUR)
    assert not why(chain)
    assert not chain.judge.timers


def test_the_first_sale_of_a_customer_may_have_its_answer_before_it():
    chain = Chain(audit_passes=True)
    chain.reply(reply(), YES_MS)
    chain.send(sale(1, NIGHT - HOUR))
    chain.send(sale(2, NIGHT))
    first, second = (json.loads(row["decision"])["signals"] for row in chain.out["audit"])
    assert (first["subject.days"], first["subject.sales"]) == (0, 0)
    assert second["subject.days"] == 1 / 24
    others_buy(chain, NIGHT + 6 * MINUTE)
    chain.judge.advance_to(HOUR)
    assert why(chain) == [("team:fraud", "not_held")]


def test_a_hundred_answers_about_nothing_stay_a_few_bytes_and_each_is_told():
    chain = before_the_hold()
    before = len(chain.judge.state[CUSTOMER])
    for n in range(100):
        chain.reply(reply(transaction_id=f"0023-04-2025-{n:06d}x"), YES_MS)
    assert len(chain.judge.state[CUSTOMER]) < before + 400
    others_buy(chain, NIGHT + 6 * MINUTE)
    chain.judge.advance_to(NIGHT + 2 * HOUR)
    assert len(why(chain)) == 100


def test_the_same_answer_twice_before_its_sale_counts_once():
    chain = before_the_hold()
    for _ in range(3):
        chain.reply(reply(), YES_MS)
    comes_again(chain)
    assert len(labels(chain)) == 1
    assert actions(chain) == ["hold", "release"]


def test_a_yes_that_comes_again_after_the_release_says_nothing_more():
    chain = held()
    answered(chain, reply())
    before = chain.out
    for minutes in (6, 30, 300):
        chain.reply(reply(at_ms=NIGHT + minutes * MINUTE), NIGHT + minutes * MINUTE)
    assert chain.out == before
    assert not chain.judge.timers


def test_a_no_after_the_release_is_told_and_is_in_the_case():
    chain = held()
    answered(chain, reply())
    chain.reply(reply("no", NIGHT + 6 * MINUTE), NIGHT + 6 * MINUTE)
    assert why(chain) == [("team:fraud", "released_before")]
    assert chain.out["cases"][-1]["customer_said"] == "no"
    assert actions(chain) == ["hold", "release"]


def test_after_a_person_s_verdict_only_the_answer_that_says_otherwise_is_told():
    for fraud, same, other, said in (
        (False, "yes", "no", "released_before"), (True, "no", "yes", "confirmed_before"),
    ):  # fmt: skip
        chain = held()
        verdict = label_of(stolen_card(), fraud, NIGHT + MINUTE, source="hold")
        chain.send(verdict, NIGHT + MINUTE, LABELS)
        before = chain.out
        chain.reply(reply(same), YES_MS)
        assert chain.out == before
        chain.reply(reply(other), YES_MS)
        assert why(chain) == [("team:fraud", said)]
        assert actions(chain) == ["hold", "decline" if fraud else "release"]


def test_a_person_s_release_that_is_read_before_its_sale_leaves_no_hold_behind():
    chain = before_the_hold()
    verdict = label_of(stolen_card(), False, NIGHT + MINUTE, source="hold")
    chain.send(verdict, NIGHT + MINUTE, LABELS)
    chain.send(stolen_card())
    assert actions(chain) == ["release"]
    assert not [n for n in chain.out["notices"] if n["kind"] == "sms"]
    chain.judge.function.audit_passes = True
    chain.send(stolen_card() | {"transaction_id": "next", "event_time_ms": NIGHT + HOUR})
    told = json.loads(chain.out["audit"][-1]["decision"])
    assert not told["watched"]
    assert told["signals"]["payment.new_card"] == 0  # so it is learnt


@pytest.mark.parametrize("fraud", [False, True])
def test_a_verdict_that_is_read_before_a_customer_s_first_sale_counts_and_nobody_is_told_again(
    fraud,
):
    """A first sale of gift cards for R9,000, which a set of the grocer's own holds."""
    rule = {"code": "big", "signal": "product.gift_cents", "threshold": 100_000, "weight": 90}
    rules = {"schema": 1, "version": "t", "review_at": 50, "hold_at": 80, "rules": [rule]}
    chain = Chain(json.dumps(rules).encode(), audit_passes=True)
    first = sale(1, NIGHT, 900_000, category="gift-cards", pieces=20, customer_id="C0000099999")
    verdict = label_of(first, fraud, NIGHT + MINUTE, source="hold")
    chain.send(verdict, NIGHT + MINUTE, LABELS)
    chain.send(first)
    assert actions(chain) == ["decline" if fraud else "release"]
    assert not chain.out["notices"]
    profile = fraud_profile.decode(chain.judge.state["C0000099999"])
    assert not profile.held
    assert (profile.sales, profile.frauds) == ((0, 1) if fraud else (1, 0))
    assert bool(profile.watch_until_ms) == fraud
    # It began with its sale, not with the verdict.
    assert profile.first_ms == NIGHT
    chain.send(sale(2, NIGHT + 2 * HOUR, customer_id="C0000099999"))
    told = json.loads(chain.out["audit"][-1]["decision"])
    assert told["signals"]["subject.days"] == 2 / 24


def test_the_release_before_takes_who_has_only_answered_for_no_old_customer():
    chain = Chain()
    chain.reply(reply(), YES_MS)
    profile = fraud_profile.decode(chain.judge.state[CUSTOMER])
    assert profile.first_ms == 0
    before = _downgrade_3(profile)
    assert (before.first_ms, before.newest_ms, before.sales) == (YES_MS, YES_MS, 0)
