"""A card is judged by what it does, with whose loyalty number it is shown or without one."""

from __future__ import annotations

import json
from collections import Counter

from msgspec.structs import replace

from tests.support.fraud_chain import Chain
from tests.support.fraud_chain import sale as document
from tests.support.fraud_shop import DAY, HOUR, MIDNIGHT, PLACES, Shop, sale
from tests.support.sales import checked
from tillstream.domain.fraud.card import journey
from tillstream.domain.fraud.profile import ProfileSettings
from tillstream.domain.fraud.sale import made_of
from tillstream.sim.simulator import Simulator

MINUTE = 60_000
CAPE_TOWN, CAPE_TOWN_TOO, DURBAN = 23, 1, 156
FIRST, SECOND = MIDNIGHT + HOUR + 50 * MINUTE, MIDNIGHT + 2 * HOUR


def codes(decision) -> set[str]:
    return {reason.code for reason in decision.reasons}


def twice(first: str | None, second: str | None, **other):
    """The same card in Cape Town at 01:50 and in Durban at 02:00."""
    shop = Shop()
    shop.takes(sale(1, FIRST, 40_000, CAPE_TOWN, customer_id=first))
    return shop.takes(sale(2, SECOND, 40_000, DURBAN, customer_id=second, **other))


def test_a_card_in_cape_town_at_0150_and_in_durban_at_0200_is_held_whoever_shows_it():
    pairs = ((None, None), ("C0000000001", None), (None, "C0000000001"),
             ("C0000000001", "C0000000002"), ("C0000000001", "C0000000001"))  # fmt: skip
    for first, second in pairs:
        decision = twice(first, second)
        assert decision.outcome == "hold", (first, second)
        assert decision.signals["card.km"] > 1_200
        assert decision.signals["card.kmh"] > 4_000


def test_one_journey_counts_once_in_the_afternoon_it_is_looked_at_and_not_held():
    for customer in (None, "C0000000001"):
        shop = Shop()
        shop.takes(sale(1, FIRST + 13 * HOUR, 40_000, CAPE_TOWN, customer_id=customer))
        decision = shop.takes(sale(2, SECOND + 13 * HOUR, 40_000, DURBAN, customer_id=customer))
        assert decision.outcome == "review"
        assert len(codes(decision) & {"impossible_travel", "card_in_two_places"}) == 1


def test_where_nobody_could_have_come_to_the_card_is_not_so_its_owner_at_home_is_not_held():
    shop = Shop()
    shop.takes(sale(1, FIRST, 40_000, CAPE_TOWN, customer_id=None))
    shop.takes(sale(2, SECOND, 40_000, DURBAN, customer_id="C0000000002"))
    home = shop.takes(sale(3, SECOND + HOUR, 40_000, CAPE_TOWN_TOO, customer_id="C0000000003"))
    assert home.outcome == "pass"
    assert home.signals["card.km"] == 0


def test_a_card_s_amounts_and_hours_are_known_whoever_shows_it():
    shop = Shop()
    for n in range(20):
        at = MIDNIGHT + (n - 40) * DAY + 18 * HOUR + n * 7 % 60 * MINUTE
        who = None if n % 2 else f"C{n % 3:010d}"
        shop.takes(sale(n, at, 30_000 + n * 577, CAPE_TOWN, customer_id=who))
    decision = shop.takes(sale(99, SECOND, 400_000, CAPE_TOWN, customer_id="C0000000999"))
    assert decision.signals["card.sales"] == 20
    assert 8 < decision.signals["card.ratio"] < 13
    assert decision.signals["card.hour_away"] > 7
    assert "card_unusual_hour" in codes(decision)
    assert decision.outcome != "pass"


def test_a_family_that_shares_a_card_in_one_town_is_not_disturbed():
    shop = Shop()
    for n in range(60):
        at = MIDNIGHT + (n - 60) * DAY // 2 + (9 + n % 11) * HOUR
        store = (CAPE_TOWN, CAPE_TOWN_TOO)[n % 2]
        who = (None, "C0000000001", "C0000000002", "C0000000003")[n % 4]
        amount = (12_000, 35_000, 60_000)[n % 3] + n * 91
        decision = shop.takes(sale(n, at, amount, store, customer_id=who))
        assert decision.outcome == "pass", decision.reasons


def test_an_online_order_while_at_a_till_is_at_no_place():
    for channel in ("online", "click_and_collect", "delivery"):
        shop = Shop()
        shop.takes(sale(1, FIRST + 13 * HOUR, 40_000, CAPE_TOWN))
        order = replace(sale(2, SECOND + 13 * HOUR, 40_000, DURBAN), channel=channel)
        decision = shop.takes(order)
        assert decision.outcome == "pass"
        assert not decision.signals.keys() & {"card.km", "place.km", "place.new_store"}
        again = shop.takes(sale(3, SECOND + 14 * HOUR, 40_000, CAPE_TOWN))
        assert (again.outcome, again.signals["place.km"], again.signals["card.km"]) == (
            "pass",
            0,
            0,
        )


def test_the_job_holds_such_a_card_too():
    chain = Chain()
    chain.send(document(1, FIRST, customer_id=None))
    chain.send(document(2, SECOND, store=DURBAN, customer_id="C0000000002"))
    (hold,) = chain.out["holds"]
    assert hold["transaction_id"] == document(2)["transaction_id"]


def test_the_simulator_s_ordinary_people_are_not_held():
    """In it a customer in seven is at a store anywhere in Africa, and who has no number has anybody's card:
    some of that has to be looked at, and none of it waits at a till."""
    shop, outcomes = Shop(), Counter()
    days = {"start_ms": MIDNIGHT, "rate": 4_000 / (10 * 86_400), "customers": 1_000}
    for sent in Simulator("normal", seed=11, count=4_000, **days):
        sold = made_of(checked(json.loads(sent.raw)))
        decision = shop.job.sale(sold, sold.event_time_ms + 50)
        outcomes[decision and decision.outcome] += 1
    assert outcomes["hold"] == 0
    assert outcomes["review"] < 0.01 * outcomes["pass"]


def test_clocks_that_may_not_differ_at_all_make_a_journey_in_no_time_and_no_error():
    km, speed = journey(CAPE_TOWN, FIRST, DURBAN, FIRST, ProfileSettings(clock_skew_ms=0), PLACES)
    assert km > 1_200
    assert 1e9 < speed < 1e10
