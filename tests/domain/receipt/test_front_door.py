"""What a till sent in the one form of every job: nothing is lost in it, and signs and shares add up."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.receipt.test_contract import VALID
from tests.support import ROOT
from tests.support.receipts import receipts
from tillstream.domain import transaction
from tillstream.domain.envelope import Envelope
from tillstream.domain.receipt import front_door, parse, product, raw_record
from tillstream.domain.receipt.canonical import Receipt, TaxOf
from tillstream.domain.receipt.front_door import StorePlace, shared
from tillstream.domain.stock.baskets import taken_out

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


def test_tax_keeps_its_code_and_rate_by_line():
    made = example("levy_by_line_that_the_receipt_does_not_list")
    assert made.taxes == (
        TaxOf("S", 1_500, "15", net=10_000),
        TaxOf("sugar", 210, added=True, net=10_000),
    )
    assert [(line.tax, line.taxed, line.taxes) for line in made.lines] == [
        (1_710, (0, 1), (1_500, 210))
    ]
    made = example("vat_included_and_zero_rated")
    assert [(line.tax, line.taxed, line.taxes) for line in made.lines] == [
        (1_500, (0,), ()), (0, (1,), ()),
    ]  # fmt: skip
    assert made.taxes == (TaxOf("S", 1_500, "15", net=10_000), TaxOf("Z", 0, "0", net=2_000))


def taxed(*lines: tuple[int, list[dict[str, Any]]], card: int = 0, **changes: Any) -> Receipt:
    """``card``: amount of a gift card beside the goods."""
    rows: list[dict[str, Any]] = [
        {
            "number": n,
            "kind": "sale",
            "scheme": "sku",
            "code": str(n),
            "amount": amount,
            "taxes": taxes,
        }
        for n, (amount, taxes) in enumerate(lines, start=1)
    ]
    if card:
        rows.append({"number": 99, "kind": "gift_card", "amount": card})
    document = json.loads(VALID[0].read_bytes())
    for name in ("discounts", "taxes", "tenders", "rounding"):
        document.pop(name, None)
    return canonical(document | {"lines": rows, "total": sum(o["amount"] for o in rows)} | changes)


ZERO = [{"code": "Z", "rate": 0, "amount": 0}]


def test_tax_that_only_the_receipt_says_is_not_on_a_zero_rated_line():
    made = example("tax_of_the_receipt_alone_beside_a_zero_rated_line")
    assert [line.tax for line in made.lines] == [1_500, 0]
    assert made.taxes[0].net == 10_000
    standard = {"code": "S", "rate": 15}
    said = [standard | {"amount": 150}]
    # Of two lines that bear it one says its own.
    made = taxed((1_150, said), (2_300, []), (999, ZERO), taxes=[standard | {"amount": 450}])
    assert [line.tax for line in made.lines] == [150, 300, 0]
    # A cent is the rounding of those that bear it, not the tax of a line that says none.
    made = taxed((1_150, said), (2_300, []), taxes=[standard | {"amount": 151}])
    assert [line.tax for line in made.lines] == [151, 0]
    # Another tax of the receipt alone is on what is taxed at all.
    levy = {"code": "L", "amount": 20}
    made = taxed((1_150, said), (999, ZERO), card=500, taxes=[standard | {"amount": 150}, levy])
    assert [line.tax for line in made.lines] == [170, 0, 0]
    # Nothing else can bear it.
    made = taxed((300, ZERO), (100, ZERO), card=100, taxes=[levy])
    assert [line.tax for line in made.lines] == [12, 4, 4]


def test_one_code_at_two_rates_stays_two():
    low, high = {"code": "V", "rate": 7, "amount": 70}, {"code": "V", "rate": 19.0, "amount": 190}
    made = taxed((1_070, [low]), (1_190, [high]), taxes=[{"code": "V", "amount": 260}])
    assert made.taxes == (TaxOf("V", 70, "7", net=1_000), TaxOf("V", 190, "19", net=1_000))
    made = taxed(
        (1_070, []), (1_190, []), taxes=[low | {"taxable": 1_000}, high | {"taxable": 1_190}]
    )
    assert [tax.net for tax in made.taxes] == [1_000, 1_000]  # said with the tax in it


def test_what_a_line_says_that_its_tax_is_on_counts():
    menu = [
        {"code": "L", "rate": 7, "amount": 46, "taxable": 700},
        {"code": "H", "rate": 19, "amount": 48, "taxable": 300},
    ]
    made = taxed((1_000, menu))
    assert [tax.net for tax in made.taxes] == [654, 252]  # said with the tax in it
    top = {"code": "S", "rate": 6, "included": False}
    free, paid = top | {"amount": 0, "taxable": 0}, top | {"amount": 30, "taxable": 500}
    made = taxed((1_000, [free]), (500, [paid]), total=1_530)
    assert made.taxes == (TaxOf("S", 30, "6", added=True, net=500),)
    made = taxed((1_000, [free]), (500, [top | {"amount": 30}]), total=1_530)
    assert made.taxes[0].net == 500  # the other line does not say it


def test_a_line_without_a_rate_has_the_one_of_the_receipt_that_makes_its_tax():
    said = [{"code": "V", "amount": 130}], [{"code": "V", "amount": 70}]
    listed = [{"code": "V", "rate": 15, "amount": 130}, {"code": "V", "rate": 7.5, "amount": 70}]
    made = taxed((1_000, said[0]), (1_000, said[1]), taxes=listed)
    assert made.taxes == (TaxOf("V", 130, "15", net=870), TaxOf("V", 70, "7.5", net=930))
    assert [(line.tax, line.taxed) for line in made.lines] == [(130, (0,)), (70, (1,))]


def test_rounding_to_whole_dollars_of_taiwan_stays_with_the_lines_that_are_taxed():
    said = [{"code": "V", "rate": 5, "amount": 200}]
    lines = (3_500, said), (3_500, said), (5_000, [])
    listed = [{"code": "V", "rate": 5, "amount": 500}]
    made = taxed(*lines, taxes=listed, currency="TWD")
    assert [line.tax for line in made.lines] == [250, 250, 0]
    cents = taxed(*lines, (1, []), taxes=listed, currency="TWD")
    assert [line.tax for line in cents.lines] == [200, 200, 100, 0]


def test_what_tax_is_on_is_unknown_where_nobody_says_it():
    made = taxed((1_150, []), taxes=[{"code": "S", "amount": 150}])
    assert (made.taxes[0].rate, made.taxes[0].net) == ("", None)


def test_a_card_number_in_a_tax_code_is_masked():
    made = taxed((1_150, [{"code": "4111111111111111", "amount": 5}]))
    assert "4111111111111111" not in made.taxes[0].code


def test_what_was_taken_out_again_bears_nothing_of_the_basket():
    line = {"kind": "sale", "scheme": "sku", "code": "a", "amount": 1_000}
    lines = [
        line | {"number": 1},
        line | {"number": 2, "code": "b"},
        line | {"number": 3, "amount": -1_000, "correction": True},
    ]
    off = [{"amount": 100, "kind": "staff"}]
    made = taxed(lines=lines, discounts=off, total=900, taxes=[{"code": "S", "amount": 117}])
    assert [one.paid for one in made.lines] == [1_000, 900, -1_000]
    assert [one.tax for one in made.lines] == [0, 117, 0]
    part = [*lines[:2], lines[2] | {"amount": -400}]
    made = taxed(lines=part, discounts=off, total=1_500)
    assert [one.paid for one in made.lines] == [962, 938, -400]  # by 600 and 1,000


def bread(number: int, amount: int, quantity: float = 1, **more: Any) -> dict[str, Any]:
    line = {
        "number": number,
        "kind": "sale",
        "scheme": "name",
        "code": "bread",
        "quantity": quantity,
    }
    return line | {"amount": amount, **more}


def test_a_correction_takes_out_the_line_that_is_like_it_not_the_latest():
    lines = [bread(1, 1_000), bread(2, 3_000, 3), bread(3, -1_000, correction=True)]
    made = taxed(lines=lines, discounts=[{"amount": 300, "kind": "manual"}], total=2_700)
    assert [one.paid for one in made.lines] == [1_000, 2_700, -1_000]
    assert taken_out(made.lines) == {0, 2}


def test_no_more_is_taken_out_than_was_rung_up():
    wine = {"number": 9, "kind": "sale", "scheme": "name", "code": "wine", "amount": 500}
    for quantity, unit in ((5, "each"), (1, "kg"), (1.001, "each")):
        taken = bread(2, -1_000, quantity, unit=unit, correction=True)
        with pytest.raises(transaction.InvalidTransaction, match="takes back what no line"):
            taxed(lines=[bread(1, 1_000), taken, wine], total=500)
    thrice = [bread(n, -300, correction=True) for n in (2, 3, 4)]
    made = taxed(lines=[bread(1, 900, 3), *thrice, wine], total=500)
    assert sum(one.thousandths for one in made.lines) == 1_000


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


PAN = "4111 1111 1111 1111"


def with_texts(**texts: Any) -> dict[str, Any]:
    """A sale whose line and tax have those."""
    line = {
        "number": 1, "kind": "sale", "amount": 1000, "scheme": "sku", "code": "BREAD-1",
        "taxes": [{"code": "vat", "amount": 0}],
    }  # fmt: skip
    top = {name: value for name, value in texts.items() if name in ("source", "fiscal_id")}
    line["taxes"] = [{"code": texts.get("tax", "vat"), "amount": 0}]
    line |= {n: v for n, v in texts.items() if n not in (*top, "tax")}
    return {
        "schema": 2, "transaction_id": "T-1", "kind": "retail", "store": "147", "till": "1",
        "ended_at": "2026-11-29T15:18:04+02:00", "currency": "ZAR", "total": 1000, "lines": [line], **top,
    }  # fmt: skip


@pytest.mark.parametrize(
    "texts",
    [
        {"lot": "%s"}, {"source": "%s"}, {"tax": "%s"}, {"code": "card %s"},
        *({"scheme": scheme, "code": "for %s"} for scheme in ("name", "sku", "gtin", "barcode", "plu")),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "said",
    [
        PAN, "4111-1111-1111-1111", "4111111111111111", "jan.jansen@example.com", "+27 82 555 0123",
        "\uff14111 1111 1111 1111", "jan\uff20example.com",
    ],
)  # fmt: skip
def test_personal_data_in_any_text_of_a_receipt_goes_neither_on_nor_to_the_archive(texts, said):
    document = with_texts(**{name: text.replace("%s", said) for name, text in texts.items()})
    raw = json.dumps(document, ensure_ascii=False).encode()
    sent = parse.parse(raw)
    written = msgspec.json.encode(front_door.of_contract(sent, ROSEBANK, sent.source or "pos/2"))
    assert said.encode() not in written
    assert b"****" in written
    kept = raw_record.raw_record(
        Envelope("kafka:t/0/1", 0, raw), "T-1", raw_record.has_free_text(sent)
    )
    assert said.encode() not in base64.b64decode(msgspec.json.decode(kept)["raw"])


def test_a_code_of_sixteen_digits_is_somebodys_own_and_a_slug_of_as_many_is_masked():
    for scheme in ("gtin", "barcode", "sku"):
        made = canonical(with_texts(scheme=scheme, code="4111111111111111"))
        assert made.lines[0].product == "sku-4111111111111111"
    made = canonical(with_texts(category="c-4111111111111111", override="r-4111-1111-1111-1111"))
    assert made.lines[0].category == "c-************1111"
    assert made.lines[0].reason == "r-****-****-****-1111"


@pytest.mark.parametrize(
    "code",
    [
        "M-MM1-N-MAG", "0016.21.00", "000000000006576605", "M-Fanta-glass", "60091500080630",
        "7dd713a0-d4d8-4fdd-932d-be06bca84f75", "10012", "W-SOA1000",
    ],
)  # fmt: skip
def test_real_codes_of_grocers_stay(code):
    assert canonical(with_texts(code=code)).lines[0].product == f"sku-{code}"


def test_a_hundred_thousand_random_codes_that_are_typed_stay():
    rng = Random(6)
    for _ in range(50_000):
        for code in (str(uuid.UUID(int=rng.getrandbits(128))), str(rng.randrange(10**7, 10**14))):
            assert product.canonical("sku", code).code == f"sku-{code}"
