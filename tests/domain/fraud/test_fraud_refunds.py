"""Money given back to a card that did not pay: what stands out, what does not, with numbers."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import pytest

from tests.support.fraud_shop import DAY, HOUR, MIDNIGHT, OTHER, OWN, RULES, Shop
from tests.support.fraud_shop import sale as sold
from tests.support.sales import checked, refund
from tillstream.domain.fraud.decision import Decision
from tillstream.domain.fraud.sale import made_of
from tillstream.fraud.pure_job import PureJob
from tillstream.sim.simulator import Simulator

NOON = MIDNIGHT + 12 * HOUR
BOUGHT = "0023-04-0000000024"  # the customer's last sale, with the card OWN


def back(n: int, card: str, cents: int, of: str = BOUGHT, at_ms: int = NOON, **changes):
    known = {
        "store": 23,
        "till": 4,
        "payment_method": "card",
        "card_token": card,
        "customer_id": None,
    }
    return made_of(
        checked(refund(f"r-{n}", of, event_time_ms=at_ms, cents=cents, **known | changes))
    )


@pytest.fixture
def shop() -> Shop:
    made = Shop()
    made.has_a_customer()
    return made


def judged(shop: Shop, txn) -> Decision | None:
    return shop.job.sale(txn, txn.event_time_ms)


def test_a_refund_to_the_card_that_paid_says_nothing(shop):
    for n in range(10):
        assert judged(shop, back(n, OWN, 500_000)) is None


def test_one_refund_to_another_card_is_measured_and_by_itself_is_nothing(shop):
    """R2,000 to a card that never bought here."""
    decision = judged(shop, back(1, OTHER, 200_000))
    assert decision.outcome == "pass"
    assert decision.signals == {
        "refund.cents": 200_000, "refund.card_n_28d": 1, "refund.card_cents_28d": 200_000,
    }  # fmt: skip
    assert decision.score == 0
    # With a second one the sum counts: R4,000 of the R5,000 that give all points for it.
    decision = judged(shop, back(2, OTHER, 200_000))
    assert decision.score == pytest.approx(40 * (400_000 - 50_000) / (500_000 - 50_000))


def test_a_person_who_brings_a_present_back_to_her_own_card_is_not_disturbed(shop):
    for cents in (5_000, 30_000, 50_000):
        fresh = Shop()
        assert judged(fresh, back(1, OTHER, cents)).score == 0
    # One alone is never looked at, whatever it comes to.
    decision = judged(Shop(), back(1, OTHER, 50_000_000))
    assert (decision.outcome, decision.score) == ("pass", 0)


def test_the_third_refund_of_2000_rand_to_a_friend_s_card_is_reviewed_and_not_held(shop):
    outcomes = []
    for n in range(1, 7):
        decision = judged(shop, back(n, OTHER, 200_000, at_ms=NOON + n * DAY))
        outcomes.append((decision.outcome, round(decision.score, 1)))
    assert outcomes == [
        ("pass", 0.0), ("pass", 31.1), ("review", 53.3), ("review", 66.7), ("review", 80.0),
        ("review", 80.0),
    ]  # fmt: skip
    assert decision.score >= decision.hold_at
    assert {r.code for r in decision.reasons} == {
        "refunds_to_a_card_that_did_not_buy", "money_to_a_card_that_did_not_buy"}  # fmt: skip


def test_a_friend_s_card_that_shops_here_itself_did_not_buy_what_is_named(shop):
    shop.takes(sold(7_000, NOON - DAY, 30_000, card_token=OTHER, customer_id=None))
    assert judged(shop, back(1, OTHER, 200_000)) is not None
    # Where no receipt is named, a card that has bought here may have bought that.
    assert judged(shop, back(2, OTHER, 200_000, of=None)) is None
    assert judged(shop, back(3, OTHER, 200_000, of="0023-04-0000007000")) is None


def test_without_a_receipt_a_card_that_never_bought_here_stands_out():
    assert judged(Shop(), back(1, OTHER, 200_000, of=None)).signals["refund.cents"] == 200_000


def test_after_28_days_it_is_forgotten_and_a_repeat_counts_once(shop):
    for _ in range(3):
        decision = judged(shop, back(1, OTHER, 200_000))
    assert decision.signals["refund.card_n_28d"] == 1
    decision = judged(shop, back(2, OTHER, 100_000, at_ms=NOON + 28 * DAY))
    assert decision.signals["refund.card_cents_28d"] == 100_000


def test_of_a_card_with_more_sales_than_are_remembered_nothing_is_said():
    shop = Shop()
    for n in range(63):
        shop.takes(sold(n, NOON + n * HOUR, 30_000))
    later = NOON + 70 * HOUR
    assert judged(shop, back(1, OWN, 200_000, of="unknown", at_ms=later)) is not None
    shop.takes(sold(63, NOON + 64 * HOUR, 30_000))
    assert judged(shop, back(2, OWN, 200_000, of="unknown", at_ms=later)) is None


def test_cash_back_and_goods_for_goods_are_no_refund_to_a_card(shop):
    cash = back(1, None, 200_000, payment_method="cash")
    assert judged(shop, cash) is None
    assert cash.to_card == 0


def test_a_refund_changes_no_profile_and_no_count_of_sales(shop):
    import msgspec

    before = msgspec.json.encode((shop.job.profiles, shop.job.tills))
    judged(shop, back(1, OTHER, 200_000))
    judged(shop, back(2, OTHER, 200_000, customer_id="C0000012345"))
    assert msgspec.json.encode((shop.job.profiles, shop.job.tills)) == before
    assert len(shop.job.cards[OTHER].refunds) == 2


def test_what_is_kept_of_a_card_is_bounded():
    shop = Shop()
    for n in range(100):
        judged(shop, back(n, OTHER, 200_000, at_ms=NOON + n * 60_000))
    assert len(shop.job.cards[OTHER].refunds) == 16


def test_refunds_are_forgotten_after_28_days_also_of_a_card_that_goes_on_buying(shop):
    judged(shop, back(1, OTHER, 50_000))
    for day in range(1, 60):
        shop.takes(sold(8_000 + day, NOON + day * DAY, 1_000, card_token=OTHER, customer_id=None))
        assert bool(shop.job.cards[OTHER].refunds) == (day < 28)


def honest(share_of_other_cards: float, count: int = 6_000) -> Counter:
    """Of simulated customers, in 20 days: of those who were paid by card and bring goods back, a share has
    the money put on another card of their own, as with a present or a card that was lost."""
    random, job, seen = Random(3), PureJob(RULES), Counter()
    traffic = Simulator(
        "normal", seed=11, count=count, customers=500, rate=count / (20 * 86_400), start_ms=NOON,
        refunds=0.1,
    )  # fmt: skip
    for sent in traffic:
        document = json.loads(sent.raw)
        by_card = document["kind"] == "refund" and "card_token" in document
        if by_card and random.random() < share_of_other_cards:
            document["card_token"] = f"tok_{random.getrandbits(80):020x}"
        txn = made_of(checked(document))
        decision = job.sale(txn, txn.event_time_ms)
        if by_card:
            seen["refunds to cards"] += 1
            if decision is not None:
                seen["measured"] += 1
                seen[decision.outcome] += 1
                seen["hold"] += decision.outcome == "hold"
    return seen


def test_of_honest_people_s_refunds_none_is_looked_at_and_none_is_held():
    as_ever, presents = honest(0.0), honest(0.1)
    assert as_ever["refunds to cards"] > 300
    assert as_ever["measured"] <= as_ever["refunds to cards"] * 0.01
    assert presents["measured"] >= presents["refunds to cards"] * 0.05
    for seen in (as_ever, presents):
        assert (seen["review"], seen["hold"]) == (0, 0)
