"""What a hold says to those who follow it: whose sale, when, and how much."""

from __future__ import annotations

from tests.support.fraud_chain import Chain
from tests.udfs.test_fraud_functions import label_of, regular, stolen_card


def test_a_hold_says_whose_sale_and_how_much_and_its_verdict_whose():
    chain = Chain()
    regular(chain)
    sold = stolen_card()
    chain.send(sold)
    chain.label(label_of(sold, True, source="hold"))
    hold, decline = chain.out["holds"]
    names = ("customer_id", "total_cents", "currency", "region", "event_time_ms")
    assert [hold[name] for name in names] == [
        sold["customer_id"], sold["total_cents"], "ZAR", sold["region"], sold["event_time_ms"],
    ]  # fmt: skip
    assert [decline[name] for name in names[:3]] == [sold["customer_id"], None, None]
