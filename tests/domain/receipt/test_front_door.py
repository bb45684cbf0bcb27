"""What a till sent in the one form of every job: nothing is lost in it, and signs and shares add up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.receipt.test_contract import VALID
from tests.support import ROOT
from tests.support.receipts import receipts
from tillstream.domain import transaction
from tillstream.domain.receipt import front_door, parse
from tillstream.domain.receipt.canonical import Receipt
from tillstream.domain.receipt.front_door import StorePlace, shared

ROSEBANK = StorePlace(147, "Africa/Johannesburg", "ZAR", "ZA", "gauteng")
V1 = sorted(
    (ROOT / "state_schemas" / "events" / "pos_transaction" / "examples" / "valid").iterdir()
)


def canonical(document: dict[str, Any]) -> Receipt:
    return front_door.of_contract(parse.parse(json.dumps(document).encode()), ROSEBANK, "pos/2")


def example(name: str) -> Receipt:
    (path,) = [path for path in VALID if path.stem == name]
    return canonical(json.loads(path.read_bytes()))


@given(receipts())
def test_shares_of_the_lines_make_the_total_and_quantities_their_way(document):
    made = canonical(document)
    if made.lines:
        assert sum(line.paid for line in made.lines) == made.total == document["total"]
        assert sum(line.tax for line in made.lines) == made.tax
    assert len(made.lines) + made.voided == len(document["lines"])
    for line in made.lines:
        assert line.amount == 0 or (line.amount > 0) == (line.thousandths > 0)


@given(receipts())
def test_a_void_is_what_it_undoes_with_all_signs_turned(document):
    made = canonical(document)
    void = canonical(document | {"kind": "void", "transaction_id": "T-2", "voids": "T-1"})
    assert void.total == -made.total
    assert void.voids == made.transaction_id
    for one, back in zip(made.lines, void.lines, strict=True):
        for name in ("amount", "paid", "thousandths", "off", "tax"):
            assert getattr(back, name) == -getattr(one, name)


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(-(10**9), 10**9), max_size=8))
def test_parts_make_the_whole_and_none_is_a_unit_off(whole, amounts):
    parts = shared(whole, amounts)
    assert len(parts) == len(amounts)
    if not amounts:
        return
    assert sum(parts) == whole
    up = sum(amounts) >= 0
    base = sum(a for a in amounts if (a > 0) == up and a)
    if base:
        for part, amount in zip(parts, amounts, strict=True):
            exact = whole * amount / base if (amount > 0) == up else 0
            assert abs(part - exact) < 1 + 1e-6


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_every_example_is_read_again_as_it_was_written(path: Path) -> None:
    made = canonical(json.loads(path.read_bytes()))
    assert msgspec.json.decode(msgspec.json.encode(made), type=Receipt) == made


def test_apples_are_734_grams_of_one_product():
    (apples,) = example("apples_of_734_grams").lines
    assert (apples.product, apples.thousandths, apples.unit) == ("plu-4011", 734, "kg")
    assert (apples.amount, apples.paid, apples.category) == (1467, 1467, "produce")


def test_an_exchange_has_both_ways():
    made = example("exchange_of_a_kettle")
    back, new = made.lines
    assert (back.thousandths, back.paid, back.back_to, back.of) == (
        -1000, -29_900, "supplier", "0147-03-20261101-000007",
    )  # fmt: skip
    assert (new.thousandths, new.paid, made.total) == (1000, 34_900, 5_000)


def test_a_discount_of_the_basket_is_shared_out_to_the_cent():
    lines = example("basket_discount_for_staff").lines
    assert [(line.amount, line.off, line.paid) for line in lines] == [
        (1000, 50, 950),
        (700, 35, 665),
    ]


def test_a_discount_of_the_basket_takes_nothing_off_a_gift_card():
    document = json.loads(
        next(path for path in VALID if path.stem == "apples_of_734_grams").read_bytes()
    )
    line = {"number": 1, "kind": "sale", "scheme": "sku", "code": "1", "amount": 10_000}
    card = line | {"number": 2, "kind": "gift_card", "amount": 20_000}
    off = [{"amount": 1_000, "kind": "staff"}]
    for kept in ("tenders", "taxes", "rounding"):
        document.pop(kept, None)
    made = canonical(document | {"lines": [line, card], "discounts": off, "total": 29_000})
    assert [one.paid for one in made.lines] == [9_000, 20_000]
    alone = canonical(document | {"lines": [card], "discounts": off, "total": 19_000})
    assert [one.paid for one in alone.lines] == [19_000]  # somebody has given it


def test_tax_on_top_is_in_what_was_paid():
    (line,) = example("sales_tax_on_top").lines
    assert (line.amount, line.tax, line.paid) == (926, 94, 1020)


def test_a_corrected_line_goes_back_to_the_shelf_and_a_struck_out_one_never_left():
    made = example("a_struck_out_line_and_a_corrected_one")
    assert [line.thousandths for line in made.lines] == [1000, 1000, -1000]
    assert made.voided == 1


def test_a_declined_card_is_counted_and_pays_nothing():
    made = example("a_declined_card_then_cash")
    assert ([tender.kind for tender in made.tenders], made.declined) == (["cash"], 1)


def test_the_business_day_is_the_stores_if_nobody_says_it():
    document = json.loads(VALID[0].read_bytes()) | {"ended_at": "2026-11-29T23:30:00Z"}
    del document["business_day"]
    made = canonical(document)
    assert (made.business_day, made.offset_min) == ("2026-11-30", 120)


@pytest.mark.parametrize("path", V1, ids=lambda path: path.stem)
def test_contract_v1_has_the_same_form(path: Path) -> None:
    sent = transaction.parse(path.read_bytes())
    made = front_door.of_v1(sent, ROSEBANK)
    way = 1 if sent.kind == "sale" else -1
    assert made.total == way * sent.total_cents == sum(line.paid for line in made.lines)
    assert made.total == sum(tender.amount for tender in made.tenders)
    assert (made.customer or None, made.ended_ms) == (sent.customer_id, sent.event_time_ms)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Receipt) == made
    undone = made.voids or next((line.of for line in made.lines if line.of), None)
    assert undone == sent.refers_to
