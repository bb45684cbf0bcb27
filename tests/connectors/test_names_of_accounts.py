"""Ids of adjustments that are like names of the stages before the ledger, on a mini cluster."""

from __future__ import annotations

from tests.connectors.test_households import ANN, BEN, HOME, LATER, Made, goodwill, joins, sold
from tests.support.sales import T0
from tillstream.udfs.stage import DEAD_LETTERS


def test_goodwill_under_the_id_of_a_household_event_is_refused_and_the_event_moves_its_points():
    event = joins(ANN, event_id="hh-T1")
    made = Made(sold("a-000001", ANN, T0, 1_000), goodwill(ANN, T0, 500, "household:hh-T1"), event)
    (letter,) = made.of[DEAD_LETTERS]
    assert (letter["reason"], "household:" in letter["message"]) == ("bad_format", True)
    assert made.moved() == [(ANN, HOME, 100)]


def test_goodwill_and_a_transfer_to_one_member_each_go_by_their_own_time():
    given = {"adjustment_id": "x", "customer_id": ANN, "sender": BEN, "points": 7, "reason": "merged",
             "by": "agent-17", "event_time_ms": LATER, "record": "r"}  # fmt: skip
    made = Made(
        joins(ANN, points="none"), goodwill(ANN, T0, 5, "in:x"), ("points-transfers", given)
    )
    assert (made.balance(ANN), made.balance(HOME)) == (5, 7)


def test_two_customers_join_under_one_event_id_and_the_points_of_both_are_posted():
    events = [joins(customer, event_id="h1-2025") for customer in (ANN, BEN)]
    sales = [sold("a-000001", ANN, T0, 1_000), sold("b-000001", BEN, T0, 2_000)]
    out = Made(*sales, *events)
    assert sorted(out.moved()) == [(ANN, HOME, 100), (BEN, HOME, 200)]
    halves = [("points-transfers", one) for one in out.of["points-transfers"]]
    made = Made(*sales, *events, *halves, *halves)
    assert (made.balance(ANN), made.balance(BEN), made.balance(HOME)) == (0, 0, 300)
    assert made.of[DEAD_LETTERS] == []
