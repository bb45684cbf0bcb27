"""The check's own reading of contract v2 and the front door's: the same lines, money, units and postings."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.receipt.test_contract import VALID
from tests.support.receipts import receipts as drawn
from tillstream.check.receipts import in_parts, postings, read, shelf
from tillstream.domain.loyalty import parts
from tillstream.domain.receipt.front_door import StorePlace, of_contract, shared
from tillstream.domain.receipt.parse import parse
from tillstream.domain.receipt.product import Embedded, canonical, check_digit, printed
from tillstream.domain.receipt.reading import stock_units

ROSEBANK = StorePlace(147, "Africa/Johannesburg", "ZAR", "ZA", "gauteng")
EARN_NOTHING = frozenset({"tobacco"})
SCALES = ("21IIIIIPPPPPC", "22IIIIIWWWWWC")
AMOUNTS = st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=8)


def agree(document: dict[str, Any]) -> None:
    made = of_contract(
        parse(json.dumps(document).encode()), ROSEBANK, "pos/2", None, tuple(map(Embedded, SCALES))
    )
    own = read(document, SCALES)
    assert own is not None
    assert (own.id, own.store, own.total, own.at_ms) == (
        made.transaction_id, made.store if document["store"] == "147" else own.store,
        made.total, made.ended_ms,
    )  # fmt: skip
    assert (own.currency, own.customer or "", own.day) == (
        made.currency, made.customer, made.business_day,
    )  # fmt: skip
    if made.lines:  # tax of a receipt whose lines are all struck out is nowhere
        assert sum(tax.amount for tax in own.taxes) == made.tax
    assert [(o.kind, o.product, o.category, o.paid, o.units, o.fate, o.of) for o in own.lines] == [
        (o.kind, printed(o.product), o.category, o.paid, stock_units(o.thousandths, o.unit),
         o.back_to, o.of)
        for o in made.lines
    ]  # fmt: skip
    raw = msgspec.json.encode(made)
    assert [(p.id, p.kind, p.total, p.points, p.refers_to, p.currency, p.excluded)
            for p in postings(own, EARN_NOTHING)] == [
        (p.transaction_id, p.kind, p.total_cents, p.points_to_redeem, p.refers_to, p.currency,
         p.excluded_cents)
        for p in parts.parts(parts.read(raw), EARN_NOTHING)
    ]  # fmt: skip


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_every_example_is_read_alike(path):
    agree(json.loads(path.read_bytes()))


@settings(deadline=None)
@given(drawn())
def test_whatever_adds_up_is_read_alike(document):
    agree(document)


@settings(deadline=None)
@given(st.integers(-(10**6), 10**6), AMOUNTS)
def test_shares_are_the_same_to_the_unit(whole, amounts):
    assert in_parts(whole, amounts) == shared(whole, amounts)
    assert sum(in_parts(whole, amounts)) == whole


@st.composite
def codes(draw: st.DrawFn) -> tuple[str, str]:
    """Of any scheme; many with a right check digit, many too short or too long."""
    scheme = draw(st.sampled_from(["gtin", "barcode", "plu", "sku", "name"]))
    digits = draw(st.text("0123456789", min_size=1, max_size=13))
    begins = draw(st.sampled_from(["", "", "00", "21", "22", "000000"]))
    code = (begins + digits)[:14]
    if draw(st.booleans()) and len(code) > 1:
        code = code[:-1] + check_digit(code[:-1])
    odd = draw(st.sampled_from([code, code, code, f" {code} ", f"A{code}", "", "Bröt  chen"]))
    return scheme, odd


@settings(deadline=None)
@given(codes())
def test_a_code_is_the_same_shelf(code):
    made = canonical(*code, tuple(map(Embedded, SCALES)))
    assert shelf(*code, SCALES) == (printed(made.code), made.weight)


def test_a_receipt_of_a_training_till_is_none():
    example = json.loads(VALID[0].read_bytes())
    assert read(example | {"training": True}) is None
