"""The points ledger's stage in the harness: whose points go when goods come back, and by whose hand."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tests.support.batched_harness import BatchedHarness
from tests.support.sales import T0, canonical, refund, sale, void
from tillstream.domain.envelope import seal
from tillstream.domain.fraud.actions import Hold
from tillstream.domain.loyalty.ledger import LoyaltyRules
from tillstream.state_schemas.keyed import loyalty_account
from tillstream.udfs.loyalty import LoyaltyLedger
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings

ANN, BEN = "C0000000001", "C0000000002"
SOLD, BACK = "0045-03-20251124-000001", "0046-01-20251125-000001"


class Ledger:
    """A stage and what it is given, as ReceiptOwners.java would claim it; ``owners``: by receipt."""

    def __init__(self, owners: dict[str, str]) -> None:
        self.harness = BatchedHarness(LoyaltyLedger(StageSettings("loyalty"), LoyaltyRules()))
        self.owners = owners
        self.offset = 0

    def direct(self, document: dict[str, Any]) -> list[Any]:
        return self._process(document.get("customer_id", "~7"), self.sealed(document))

    def claimed(self, document: dict[str, Any], of: str = SOLD) -> list[Any]:
        owner = self.owners[of]
        head = b"claim:" + json.dumps([of, owner]).encode() + b"\n"
        return self._process(owner, head + self.sealed(document))

    def sealed(self, document: dict[str, Any]) -> bytes:
        self.offset += 1
        return seal(f"kafka:transactions/0/{self.offset}", T0, canonical(document))

    def _process(self, key: str, value: bytes) -> list[Any]:
        return [json.loads(made) for made in self.harness.process((key, value))]

    def balance(self, customer: str) -> int:
        state = self.harness.state.get(customer)
        return loyalty_account.decode(state).balance if state else 0


def test_goods_returned_without_the_card_take_back_the_500_points_of_their_sale():
    shop = Ledger({SOLD: ANN})
    back = refund(BACK, SOLD, cents=500_000, customer_id=None)
    shop.direct(sale(SOLD, cents=500_000, customer_id=ANN))
    assert shop.balance(ANN) == 500
    assert shop.direct(back) == []
    (entry,) = shop.claimed(back)
    assert (entry["customer_id"], entry["delta"], entry["balance"]) == (ANN, -500, 0)
    assert (entry["entry_id"], entry["transaction_id"]) == (f"{BACK}:owner", BACK)
    assert (entry["refers_to"], entry["outcome"]) == (SOLD, "posted")


def test_with_another_card_they_go_from_the_owner_and_the_other_card_gets_and_loses_nothing():
    shop = Ledger({SOLD: ANN})
    back = refund(BACK, SOLD, cents=500_000, customer_id=BEN)
    shop.direct(sale(SOLD, cents=500_000, customer_id=ANN))
    (entry,) = shop.direct(back)
    assert (entry["entry_id"], entry["outcome"], entry["delta"]) == (BACK, "pending_original", 0)
    shop.claimed(back)
    assert (shop.balance(ANN), shop.balance(BEN)) == (0, 0)


def test_points_that_paid_for_the_goods_go_back_to_the_owner():
    shop = Ledger({SOLD: ANN})
    shop.direct(sale("0045-03-20251124-000009", cents=100_000, customer_id=ANN))
    shop.direct(sale(SOLD, cents=1_000, customer_id=ANN, points_to_redeem=100))
    assert shop.balance(ANN) == 0
    (entry,) = shop.claimed(void(BACK, SOLD, cents=1_000, customer_id=None))
    assert (entry["redeemed"], entry["balance"]) == (-100, 100)


def test_a_claim_that_comes_twice_or_before_its_sale_counts_once():
    sold, back = (
        sale(SOLD, cents=500_000, customer_id=ANN),
        refund(BACK, SOLD, cents=200_000, customer_id=BEN),
    )
    for order in ("scc", "csc", "ccs"):
        shop = Ledger({SOLD: ANN})
        for what in order:
            (shop.direct(sold) if what == "s" else shop.claimed(back))
        assert shop.balance(ANN) == 300


def test_what_is_no_transaction_has_one_dead_letter_and_its_claim_none():
    shop = Ledger({SOLD: ANN})
    broken = canonical(refund(BACK, SOLD)).replace(b'"region"', b'"area"')
    enveloped = seal("kafka:transactions/0/7", T0, broken)
    head = b'claim:["%s","%s"]\n' % (SOLD.encode(), ANN.encode())
    shop.harness.process(("~1", enveloped), (ANN, head + enveloped))
    (letter,) = map(json.loads, shop.harness.side[DEAD_LETTERS])
    assert (letter["reason"], letter["origin"]) == ("not_canonical", "kafka:transactions/0/7")


def test_a_claim_too_many_is_a_dead_letter_with_the_return():
    shop = Ledger({SOLD: ""})
    assert shop.claimed(refund(BACK, SOLD, customer_id=None)) == []
    (letter,) = map(json.loads, shop.harness.side[DEAD_LETTERS])
    assert (letter["reason"], letter["origin"]) == ("too_many_returns", "kafka:transactions/0/1")


def test_a_void_of_what_nobody_brought_back_gives_the_owner_the_points_again():
    sold = sale(SOLD, cents=500_000, customer_id=ANN)
    back = refund(BACK, SOLD, cents=200_000, customer_id=None)
    undone = void("0046-01-20251125-000002", BACK, cents=200_000, customer_id=None)
    for order in ([sold, back, undone], [undone, sold, back], [back, undone, sold]):
        shop = Ledger({SOLD: ANN})
        for one in order:
            (shop.direct(one) if one is sold else shop.claimed(one))
        assert shop.balance(ANN) == 500


def asked(offset: int, arrived_ms: int = T0, **changes: Any) -> bytes:
    made = {
        "schema": 1, "request_id": f"ask-{offset:06d}", "kind": "hold", "customer_id": ANN,
        "transaction_id": BACK, "store": 45, "till": "3", "event_time_ms": T0, "points": 400,
        "currency": "ZAR",
    } | changes  # fmt: skip
    return seal(f"kafka:points-requests/0/{offset}", arrived_ms, json.dumps(made).encode())


def test_a_till_is_answered_before_it_takes_money_and_its_sale_takes_the_points():
    shop = Ledger({})
    shop.direct(sale(SOLD, cents=500_000, customer_id=ANN))
    assert shop.harness.process((ANN, asked(1)), (ANN, asked(2, transaction_id="other-0001"))) == []
    granted, refused = map(json.loads, shop.harness.side["points-answers"])
    assert (granted["answer_id"], granted["to"], granted["outcome"]) == (
        "ask-000001:hold",
        "45/3",
        "granted",
    )
    assert (granted["balance"], granted["available"], granted["until_ms"]) == (
        500,
        100,
        T0 + 600_000,
    )
    assert (refused["outcome"], refused["reason"]) == ("refused", "insufficient_balance")
    (entry,) = shop.direct(sale(BACK, cents=10_000, customer_id=ANN, points_to_redeem=400))
    assert (entry["outcome"], entry["redeemed"]) == ("posted", 400)


def test_a_request_that_is_none_or_of_a_clock_far_ahead_is_a_dead_letter_and_has_no_answer():
    shop = Ledger({})
    shop.harness.process((ANN, asked(1, points=0)), (ANN, asked(2, arrived_ms=T0 - 600_000)))
    letters = [json.loads(one) for one in shop.harness.side[DEAD_LETTERS]]
    assert [(one["reason"], one["origin"]) for one in letters] == [
        ("out_of_range", "kafka:points-requests/0/1"),
        ("clock_ahead", "kafka:points-requests/0/2"),
    ]
    assert shop.harness.side["points-answers"] == []


def document(topic: str, offset: int, **fields: Any) -> bytes:
    return seal(f"kafka:{topic}/0/{offset}", T0, json.dumps(fields).encode())


def test_a_transfer_goes_out_once_and_comes_in_once():
    shop = Ledger({})
    shop.direct(sale(SOLD, cents=500_000, customer_id=ANN))
    moved = {"schema": 1, "adjustment_id": "desk-1", "kind": "transfer", "customer_id": ANN, "to": BEN,
             "reason": "card_replaced", "by": "agent-17", "event_time_ms": T0}  # fmt: skip
    for offset in (1, 2):
        shop.harness.process((ANN, document("loyalty-adjustments", offset, **moved)))
    (sent,) = shop.harness.side["points-transfers"]
    assert json.loads(sent) == {
        "adjustment_id": "desk-1", "customer_id": BEN, "sender": ANN, "points": 500,
        "reason": "card_replaced", "by": "agent-17", "event_time_ms": T0,
        "record": "kafka:loyalty-adjustments/0/1", "refused": False,
    }  # fmt: skip
    for offset in (1, 2):
        shop.harness.process((BEN, seal(f"kafka:points-transfers/0/{offset}", T0, sent)))
    assert (shop.balance(ANN), shop.balance(BEN)) == (0, 500)
    assert len(shop.harness.main) == 3
    assert shop.harness.side[DEAD_LETTERS] == []


def test_an_adjustment_beyond_the_horizon_is_a_dead_letter():
    shop = Ledger({})
    shop.direct(sale(SOLD, cents=500_000, customer_id=ANN))
    old = {"schema": 1, "adjustment_id": "desk-1", "kind": "goodwill", "customer_id": ANN, "points": 5,
           "reason": "complaint", "by": "agent-17", "event_time_ms": T0 - 184 * 86_400_000}  # fmt: skip
    shop.harness.process((ANN, document("loyalty-adjustments", 7, **old)))
    (letter,) = map(json.loads, shop.harness.side[DEAD_LETTERS])
    assert (letter["reason"], letter["origin"]) == (
        "beyond_horizon",
        "kafka:loyalty-adjustments/0/7",
    )


def said(offset: int, action: str, of: str = SOLD, **changes: Any) -> bytes:
    """What the fraud job writes on its topic."""
    made = Hold(f"{of}:{action}", of, action, 45, 3, "default-3", T0, T0 + offset, ANN)
    return seal(
        f"kafka:holds/0/{offset}",
        T0 + 1_000,
        json.dumps(msgspec.to_builtins(made) | changes).encode(),
    )


def test_what_fraud_says_of_a_sale_is_followed_by_its_account_once():
    shop = Ledger({})
    shop.direct(sale(SOLD, cents=500_000, customer_id=ANN))
    assert shop._process(ANN, said(1, "hold"))[0]["pending"] == 500
    assert shop.balance(ANN) == 0
    asking = asked(2, transaction_id="0046-01-20251125-000009")
    shop.harness.process((ANN, asking))
    (answer,) = map(json.loads, shop.harness.side["points-answers"])
    assert (answer["outcome"], answer["available"]) == ("refused", 0)
    assert shop._process(ANN, said(1, "hold")) == []
    (entry,) = shop._process(ANN, said(3, "release"))
    assert (entry["kind"], entry["delta"], entry["pending"]) == ("released", 500, 0)
    assert shop.balance(ANN) == 500
    assert DEAD_LETTERS not in shop.harness.side


def test_a_return_without_the_card_of_what_was_fraud_takes_nothing_twice_from_its_owner():
    shop = Ledger({SOLD: ANN})
    shop.direct(sale(SOLD, cents=500_000, customer_id=ANN))
    shop._process(ANN, said(1, "decline"))
    (entry,) = shop.claimed(refund(BACK, SOLD, cents=500_000, customer_id=None))
    assert (entry["delta"], entry["reason"], shop.balance(ANN)) == (0, "fraud", 0)


def test_a_hold_of_nobody_has_no_effect_and_one_that_is_none_is_a_dead_letter():
    shop = Ledger({})
    assert shop._process("~7", said(1, "hold", customer_id=None)) == []
    assert not shop.harness.state
    shop._process("~7", said(2, "keep"))
    shop._process(ANN, said(3, "decline", ordered_at_ms=T0 + 3_600_000))
    letters = map(json.loads, shop.harness.side[DEAD_LETTERS])
    assert [(one["reason"], one["origin"]) for one in letters] == [
        ("not_allowed", "kafka:holds/0/2"),
        ("clock_ahead", "kafka:holds/0/3"),
    ]
