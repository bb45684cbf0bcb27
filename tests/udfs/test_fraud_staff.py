"""The fraud job's stages about staff: cases for people, and nothing else."""

from __future__ import annotations

import json

import msgspec
import pytest
from msgspec.structs import replace

from tests.support.fraud_chain import DAY_MS, LABELS, T0, Chain
from tests.support.sales import checked, refund, void
from tillstream.domain.envelope import seal


def test_returns_of_a_cashier_reach_the_team_and_no_profile_no_hold_and_no_customer():
    chain = Chain()
    for n in range(200):
        document = refund(f"r{n}", f"s{n}", event_time_ms=T0 + n * 30_000, store=23, cents=200_000)
        receipt, at_ms = replace(checked(document), cashier="C-17"), T0 + n * 30_000
        record = seal(f"kafka:transactions/0/{n}", at_ms, msgspec.json.encode(receipt))
        chain._through([("23:3", record)])
    assert {case["case_id"] for case in chain.out["staff-cases"]} == {"returns:23:2025-11-24:C-17"}
    (told,) = chain.out["notices"]
    assert (told["kind"], told["recipient"]) == ("alert", "team:loss-prevention")
    versions = [case["version"] for case in chain.out["staff-cases"]]
    assert versions == sorted(set(versions))
    assert json.loads(chain.out["staff-cases"][-1]["figures"])["day_cents"] >= 20_000_000
    assert not chain.judge.state
    for name in ("holds", "cases", "audit", "explanations", "dead-letters"):
        assert not chain.out[name], name


FRIEND = "tok_f7r6i5e4n3d2zzzz"


def to_a_friend(
    chain: Chain, n: int, cents: int, till: str = "4", cashier: str = "C-17", after_ms: int = 0,
    undone: bool = False, **other,
):  # fmt: skip
    """Of a sale that somebody else has paid for; or the void of that refund."""
    at_ms = T0 + n * 600_000 + after_ms
    known = {
        "event_time_ms": at_ms, "store": 23, "cents": cents, "payment_method": "card",
        "card_token": FRIEND, "customer_id": None,
    }  # fmt: skip
    document = refund(f"f{n}", **{"of": "0023-04-2025-000001"} | known | other)
    if undone:
        document = void(f"v{n}", f"f{n}", **known | {"event_time_ms": at_ms + 60_000} | other)
    receipt = replace(checked(document), cashier=cashier, till=till)
    record = seal(
        f"kafka:transactions/0/{receipt.transaction_id}", at_ms, msgspec.json.encode(receipt)
    )
    chain._through([(f"23:{till}", record)])


def of_cards(chain: Chain) -> list[dict]:
    return [case for case in chain.out["staff-cases"] if case["code"] == "cards"]


def test_six_refunds_of_2000_rand_to_a_card_that_did_not_buy_are_a_case_of_the_cashier():
    chain = Chain()
    for n in range(4):
        to_a_friend(chain, n, 200_000)
    assert not of_cards(chain)
    to_a_friend(chain, 4, 200_000)
    (case,) = of_cards(chain)
    assert case["case_id"] == "cards:23:2025-11-24:C-17"
    assert json.loads(case["figures"]) == {
        "day_count": 5, "day_cents": 1_000_000, "card_token": FRIEND}  # fmt: skip
    (told,) = [n for n in chain.out["notices"] if n["template"] == "staff-cards"]
    assert "tok_" not in json.dumps(told)
    assert not chain.out["holds"]
    # The card has a case of its own, from the third on, for the fraud team.
    assert [case["transaction_id"] for case in chain.out["cases"]] == ["f2", "f3", "f4"]
    assert {case["outcome"] for case in chain.out["cases"]} == {"review"}
    assert not chain.out["dead-letters"]


def test_cashiers_who_share_a_till_are_a_case_of_the_till():
    chain = Chain()
    for n in range(8):  # of R2,000 each; three, three and two
        assert not of_cards(chain)
        to_a_friend(chain, n, 200_000, cashier=f"C-{n % 3}")
    (case,) = of_cards(chain)
    assert (case["case_id"], case["cashier"]) == ("cards:23:2025-11-24:till-4", "")
    figures = json.loads(case["figures"])  # of the cashiers besides the one with most
    assert (figures["day_count"], figures["day_cents"]) == (5, 1_000_000)


def test_five_refunds_of_one_cashier_and_r10_of_another_are_no_case_of_the_till():
    chain = Chain()
    for n in range(5):
        to_a_friend(chain, n, 200_000, cashier="C-1")
    to_a_friend(chain, 5, 1_000, cashier="C-2")
    assert [case["case_id"] for case in of_cards(chain)] == ["cards:23:2025-11-24:C-1"]


@pytest.mark.parametrize("cashier", ["C-17", ""])
def test_refunds_of_an_evening_are_told_once_and_not_again_by_r10_next_morning(cashier):
    chain = Chain()
    evening = 3 * 6 * 600_000  # from 21:00
    for n in range(5):
        to_a_friend(chain, n, 200_000, cashier=cashier, after_ms=evening)
    to_a_friend(chain, 5, 1_000, cashier=cashier, after_ms=evening + 11 * 3_600_000)
    (case,) = of_cards(chain)
    assert case["day"] == "2025-11-24"
    # Five more in the morning are a case of their own.
    for n in range(6, 11):
        to_a_friend(chain, n, 200_000, cashier=cashier, after_ms=evening + 12 * 3_600_000)
    assert {one["day"] for one in of_cards(chain)} == {"2025-11-24", "2025-11-25"}
    figures = json.loads(of_cards(chain)[-1]["figures"])
    assert (figures["day_count"], figures["day_cents"]) == (5, 801_000)
    assert len([n for n in chain.out["notices"] if n["template"] == "staff-cards"]) == 2


def test_of_a_till_that_names_no_cashier_the_till_is_the_case():
    chain = Chain()
    for n in range(5):
        to_a_friend(chain, n, 200_000, cashier="")
    assert [case["case_id"] for case in of_cards(chain)] == ["cards:23:2025-11-24:till-4"]


def test_an_order_from_home_is_no_cashier_s_and_a_repeat_counts_once():
    chain = Chain()
    for _ in range(8):
        to_a_friend(chain, 1, 200_000)
    assert not of_cards(chain)
    assert not chain.out["cases"]


def test_a_person_s_release_of_such_a_refund_closes_its_case_and_orders_nothing():
    chain = Chain()
    for n in range(3):
        to_a_friend(chain, n, 200_000)
    (opened,) = chain.out["cases"]
    verdict = {
        "transaction_id": "f2", "fraud": False, "event_time_ms": opened["event_time_ms"],
        "labelled_ms": T0 + 3 * 600_000, "store": 23, "till": opened["till"], "source": "review",
        "card_token": FRIEND,
    }  # fmt: skip
    chain.send(verdict, T0 + 3 * 600_000, LABELS)
    assert chain.out["cases"][-1]["status"] == "released"
    assert not chain.out["holds"]


@pytest.mark.parametrize("who_voids", ["C-17", "C-SUPERVISOR"])
def test_refunds_that_were_voided_again_count_for_nobody(who_voids):
    """Four of R2,000, each voided a minute later, then a fifth that stands."""
    chain = Chain()
    for n in range(4):
        to_a_friend(chain, n, 200_000)
        for _ in range(2):  # a copy changes nothing
            to_a_friend(chain, n, 200_000, undone=True, cashier=who_voids)
            to_a_friend(chain, n, 200_000)
    to_a_friend(chain, 4, 200_000)
    assert not of_cards(chain)
    assert not chain.out["cases"]
    assert not chain.out["dead-letters"]
    # Four more stand too, and are counted.
    for n in range(5, 9):
        to_a_friend(chain, n, 200_000)
    (case,) = of_cards(chain)
    assert json.loads(case["figures"])["day_count"] == 5
    assert [one["transaction_id"] for one in chain.out["cases"]] == ["f6", "f7", "f8"]


def test_a_reviewed_refund_that_is_voided_says_so_in_its_case_also_of_a_card_that_never_bought():
    chain = Chain()
    for n in range(3):
        to_a_friend(chain, n, 200_000)
    to_a_friend(chain, 2, 200_000, undone=True)
    opened, undone = chain.out["cases"]
    assert (opened["transaction_id"], opened["outcome"]) == ("f2", "review")
    assert (undone["transaction_id"], undone["undone"]) == ("f2", "voided")


def test_a_void_of_another_refund_takes_none_back():
    chain = Chain()
    for n in range(4):
        to_a_friend(chain, n, 200_000)
    to_a_friend(chain, 77, 200_000, undone=True)
    to_a_friend(chain, 4, 200_000)
    assert len(of_cards(chain)) == 1


def test_a_job_that_begins_new_accuses_nobody_whose_sale_was_before_it():
    """Five honest refunds of R450 in an afternoon to five cards, at a returns desk that sells nothing."""
    chain = Chain(refunds_after_ms=60 * DAY_MS)
    for day in (0, 30, 59):
        for n in range(day, day + 5):
            known = {"card_token": f"tok_honestcustomer{n:03d}", "of": f"old-{n}"}
            to_a_friend(chain, n, 45_000, after_ms=day * DAY_MS, **known)
    assert not chain.out["staff-cases"]
    assert not chain.out["cases"]
    # After that it is known what each card has bought here.
    for n in range(5):
        to_a_friend(chain, 1_000 + n, 200_000, after_ms=61 * DAY_MS)
    assert len(of_cards(chain)) == 1
    assert [case["outcome"] for case in chain.out["cases"]] == ["review"] * 3
