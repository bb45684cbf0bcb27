"""The check's own reading of contract v2 and the front door's: the same lines, money, units and postings."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.receipt.test_contract import VALID
from tests.support.receipts import receipts as drawn
from tillstream.check.by_hand.taxes import in_parts
from tillstream.check.receipts import postings, read, shelf
from tillstream.domain.loyalty import parts
from tillstream.domain.receipt.contract import RetailTransaction
from tillstream.domain.receipt.front_door import StorePlace, of_contract, shared
from tillstream.domain.receipt.parse import parse
from tillstream.domain.receipt.product import Embedded, canonical, check_digit, printed
from tillstream.domain.receipt.reading import stock_units
from tillstream.domain.stock import baskets

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
    assert sum(tax.amount for tax in own.taxes) == made.tax
    assert sorted(own.taxes, key=str) == sorted(
        ((tax.code, tax.rate, tax.added, tax.amount, tax.net) for tax in made.taxes), key=str
    )
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


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111", "4111 1111 1111 1111", "VAT 3782-822463-10005", "4111111111111112",
        "1111111111111117", "05 4111111111111111 0",
    ],
)  # fmt: skip
def test_a_cards_number_in_a_tax_code_or_a_name_is_masked_alike(text):
    document = json.loads(VALID[0].read_bytes())
    for name in ("discounts", "taxes", "tenders", "rounding"):
        document.pop(name, None)
    line = {"number": 1, "kind": "sale", "scheme": "name", "code": text, "amount": 115}
    line["taxes"] = [{"code": text, "rate": 15, "amount": 15}]
    agree(document | {"lines": [line], "total": 115})


@settings(deadline=None)
@given(drawn())
def test_whatever_adds_up_is_read_alike(document):
    agree(document)


@st.composite
def returns(draw: st.DrawFn) -> dict[str, Any]:
    """Of two products in two sizes, to any place, some taken out again."""
    lines: list[dict[str, Any]] = []
    left = {"6001240100035": 0, "6001240100011": 0}
    for number in range(1, draw(st.integers(2, 7)) + 1):
        code = draw(st.sampled_from(sorted(left)))
        pieces, correction = draw(st.sampled_from([(1, False), (2, False), (1, True), (2, True)]))
        correction = correction and left[code] >= pieces
        left[code] += -pieces if correction else pieces
        amount = 2_000 * pieces * (1 if correction else -1)
        line = {"number": number, "kind": "return", "code": code, "amount": amount,
                "quantity": pieces, "correction": correction}  # fmt: skip
        fate, of = draw(st.sampled_from([None, "shelf", "waste"])), draw(st.sampled_from("AB"))
        lines.append(line | ({"back": {"receipt": of, "fate": fate}} if fate else {}))
    total = sum(line["amount"] for line in lines)
    return {
        "schema": 2, "transaction_id": "T-1", "kind": "retail", "store": "1", "till": "1",
        "ended_at": "2026-11-29T15:18:04+02:00", "currency": "ZAR", "lines": lines, "total": total,
        "tenders": [{"kind": "cash", "amount": total}],
    }  # fmt: skip


@settings(deadline=None)
@given(returns())
def test_what_is_brought_back_and_taken_out_again_is_read_alike(document):
    agree(document)
    made = of_contract(parse(json.dumps(document).encode()), ROSEBANK, "pos/2")
    own = read(document)
    assert own is not None
    read_by_jobs = baskets.read(msgspec.json.encode(made))
    assert {n for n, one in enumerate(own.lines) if one.gone} == baskets.taken_out(
        read_by_jobs.lines
    )
    for product in {line.product for line in own.lines}:
        assert sum(-o.units for o in own.lines
                   if o.product == product and o.fate == "shelf" and not o.gone
        ) == to_shelf(read_by_jobs, product)  # fmt: skip


def to_shelf(receipt: baskets.Receipt, product: str) -> int:
    gone = baskets.taken_out(receipt.lines)
    return sum(
        -stock_units(line.thousandths, line.unit)
        for n, line in enumerate(receipt.lines)
        if baskets.moves(line) and n not in gone and printed(line.product) == product
    )


@pytest.mark.parametrize(
    ("fates", "correction", "moved"),
    [(["shelf", "waste"], "shelf", 0), (["waste", "shelf"], "waste", 1), (["waste"], None, 0),
     (["shelf", "waste"], None, 1), (["waste", "shelf"], None, 0), (["shelf", "waste"], "waste", 1)],
)  # fmt: skip
def test_a_correction_takes_out_the_return_that_goes_where_it_says(fates, correction, moved):
    line = {"kind": "return", "amount": -2_000, "quantity": 1, "code": "6001240100035"}
    lines = [line | {"back": {"receipt": "S-1", "fate": fate}} for fate in fates]
    taken_out = line | {"amount": 2_000, "correction": True}
    lines.append(
        taken_out | ({"back": {"receipt": "S-1", "fate": correction}} if correction else {})
    )
    total = 2_000 - 2_000 * len(fates)
    document = {
        "schema": 2, "transaction_id": "T-1", "kind": "retail", "store": "1", "till": "1",
        "ended_at": "2026-11-29T15:18:04+02:00", "currency": "ZAR", "total": total,
        "lines": [one | {"number": n} for n, one in enumerate(lines, start=1)],
        "tenders": [{"kind": "cash", "amount": total}],
    }  # fmt: skip
    agree(document)
    made = of_contract(parse(json.dumps(document).encode()), ROSEBANK, "pos/2")
    assert to_shelf(baskets.read(msgspec.json.encode(made)), "6001240100035") == moved
    own = read(document)
    assert own is not None
    assert sum(-o.units for o in own.lines if o.fate == "shelf" and not o.gone) == moved
    # Nor does the sale lose points for goods that stayed with the customer.
    assert sum(p.total for p in postings(own, ())) == -total


TAXES = st.lists(
    st.fixed_dictionaries(
        {"code": st.sampled_from("AB"), "amount": st.integers(-900, 900)},
        optional={
            "rate": st.sampled_from([0, 7, 15.0, 10.151, 15]),
            "included": st.booleans(),
            "taxable": st.integers(-9_000, 9_000),
        },
    ),
    max_size=3,
)


@settings(deadline=None)
@given(drawn(), TAXES, st.lists(TAXES, min_size=6, max_size=6))
def test_whatever_tax_is_said_where_is_shared_out_alike(document, of_receipt, of_lines):
    lines = [line | {"taxes": of_line}
             for line, of_line in zip(document["lines"], of_lines, strict=False)]  # fmt: skip
    document |= {"lines": lines, "taxes": of_receipt}
    # Whether it adds up does not matter here.
    decoder = msgspec.json.Decoder(RetailTransaction, float_hook=Decimal)
    sent = decoder.decode(json.dumps(document))
    made, own = of_contract(sent, ROSEBANK, "pos/2"), read(document)
    assert own is not None
    assert [line.paid for line in own.lines] == [line.paid for line in made.lines]
    assert sorted(own.taxes, key=str) == sorted(
        ((tax.code, tax.rate, tax.added, tax.amount, tax.net) for tax in made.taxes), key=str
    )
    for line in made.lines:
        if len(line.taxed) != 1:
            assert (len(line.taxes), sum(line.taxes)) == (len(line.taxed), line.tax)
    for place, tax in enumerate(made.taxes):
        by_line = (
            dict(zip(line.taxed, line.taxes or [line.tax] * len(line.taxed), strict=True))
            for line in made.lines
        )
        assert tax.amount == sum(of.get(place, 0) for of in by_line)


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
