"""Tax follows from its rate, however tills round, print rates, and choose what is taxed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.domain.receipt.test_contract import VALID
from tillstream.domain.receipt.parse import parse
from tillstream.domain.receipt.tax_rates import fault
from tillstream.domain.transaction import InvalidTransaction

Record = dict[str, Any]


def tax(rate: float | None, amount: int, included: bool = False, **more: Any) -> Record:
    return {"code": "S", "amount": amount, "included": included, **more} | (
        {} if rate is None else {"rate": rate}
    )


def line(amount: int, *taxes: Record, **more: Any) -> Record:
    kind = "sale" if amount >= 0 else "return"
    return {"kind": kind, "scheme": "sku", "code": "a", "amount": amount, "taxes": taxes, **more}


def why(lines: list[Record], taxes: list[Record] | None = None, **changes: Any) -> str | None:
    document = json.loads(VALID[0].read_bytes())
    for name in ("discounts", "taxes", "tenders", "rounding"):
        document.pop(name, None)
    of_receipt = taxes or []
    listed = {(one["code"], one["included"]) for one in of_receipt}
    of_lines = [one for of in lines for one in of["taxes"]]
    added = [*of_receipt, *(o for o in of_lines if (o["code"], o["included"]) not in listed)]
    total = sum(of["amount"] for of in lines)
    total += sum(one["amount"] for one in added if not one["included"])
    document |= {
        "lines": [{"number": n, **of} for n, of in enumerate(lines, 1)],
        "taxes": of_receipt,
        "total": total,
        "currency": "USD",
    }
    return fault(parse(json.dumps(document | changes).encode()))


@pytest.mark.parametrize(
    ("amount", "rate", "charged"),
    [
        pytest.param(42_999, 8.88, 3_816, id="8.875 of 429.99"),
        pytest.param(8_299, 8.9, 737, id="8.875 of 82.99"),
        pytest.param(8_299, 6.6, 550, id="6.625 of 82.99"),
        pytest.param(3_600, 5, 176, id="4.9 of 36.00"),
        pytest.param(20_000, 8, 1_650, id="8.25 of 200.00"),
    ],
)
def test_a_rate_may_be_printed_shorter_than_it_is(amount, rate, charged):
    assert why([line(amount, tax(rate, charged))]) is None
    assert why([line(amount)], [tax(rate, charged, taxable=amount)]) is None


def test_a_difference_of_rounding_of_the_basket_may_be_on_one_line():
    lines = [line(107, tax(7.75, 8)) for _ in range(9)]
    lines[-1]["taxes"] = [tax(7.75, 11)]  # 0.75 of 9.63, of which 0.72 are told by line
    assert why(lines) is None
    lines[-1]["taxes"] = [tax(7.75, 18)]
    assert why(lines) == (
        "$.lines[8].taxes[0].amount is 18, by 7.75 % of 107 it is from -9 to 17 minor units"
    )


def test_tax_may_be_rounded_by_piece_and_told_of_the_receipt_alone():
    assert why([line(2_500, quantity=100)], [tax(6.0, 200)]) is None
    assert why([line(2_500, quantity=100)], [tax(6.0, 202)]) == (
        "$.taxes[0].amount is 202, by 6.0 % of 2500 it is from -50 to 201 minor units"
    )


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([line(1_000, tax(6, 0))], id="food stamps"),
        pytest.param([line(1_000, tax(6, 30))], id="half of it in food stamps"),
        pytest.param([line(-1_000, tax(6, -30))], id="half of it comes back"),
        pytest.param(
            [line(1_000, tax(8.75, 98)), line(120, kind="deposit", parent=1)],
            id="with the deposit's",
        ),
        pytest.param(
            [
                line(3_000, tax(15, 261, True), quantity=3),
                line(-1_000, kind="sale", correction=True),
            ],
            id="of what a correction left",
        ),
        pytest.param(
            [line(1_000, tax(7, 46, True), tax(19, 48, True, code="H"))], id="a menu at two rates"
        ),
    ],
)
def test_less_may_be_taxed_than_the_line_and_more_with_what_is_part_of_it(lines):
    assert why(lines) is None


def test_tax_in_the_price_may_be_said_by_the_price():
    assert why([line(10_000)], [tax(13, 1_300, True)]) is None  # Bolivia
    assert why([line(10_000)], [tax(13, 1_352, True)]) is not None


@pytest.mark.parametrize(
    ("currency", "amount", "rate", "charged", "included"),
    [
        pytest.param("IDR", 894_500, 11, 98_400, False, id="Rp 8,945 at 11 %"),
        pytest.param("TWD", 3_500, 5.0, 200, True, id="NT$35 at 5 %"),
        pytest.param("HUF", 99_900, 27.0, 27_000, False, id="Ft 999 at 27 %"),
    ],
)
def test_tax_may_be_rounded_to_whole_units_where_nothing_has_cents(
    currency, amount, rate, charged, included
):
    whole = tax(rate, charged, included)
    assert why([line(amount, whole)], currency=currency) is None
    assert why([line(amount)], [whole], currency=currency) is None
    assert why([line(amount)], [whole | {"taxable": amount}], currency=currency) is None


def test_where_something_has_cents_tax_is_rounded_to_cents():
    assert why([line(10_000, tax(15.00, 1_600))]) is None  # within R1 and the rate's last digit
    assert why([line(10_000, tax(15.00, 1_600)), line(1)]) == (
        "$.lines[0].taxes[0].amount is 1600, by 15.0 % of 10000 it is from -1 to 1506 minor units"
    )


def test_tax_of_the_lines_may_differ_from_the_receipts_by_a_whole_unit_each():
    lines = [line(99_900, tax(27, 21_200, True)) for _ in range(3)]
    assert why(lines, [tax(27, 63_900, True)], currency="HUF") is None
    with pytest.raises(InvalidTransaction, match="63600 of the lines, 64000 of the receipt"):
        why(lines, [tax(27, 64_000, True)], currency="HUF")


def test_a_void_repeats_a_receipt_as_it_was():
    assert why([line(1_000, tax(6, 600))], kind="void", voids="t-1") is None


@pytest.mark.parametrize(
    ("lines", "taxes"),
    [
        pytest.param([line(926, tax(0.10151, 94))], [], id="a share for percent"),
        pytest.param([line(2_000, tax(0, 261, True))], [], id="of what is zero-rated"),
        pytest.param([line(11_500)], [tax(15, 1_900, True)], id="more than the lines bear"),
        pytest.param(
            [line(11_500)], [tax(15, 1_500, True, taxable=21_500)], id="on more than was sold"
        ),
        pytest.param([line(1_000, tax(15, -150, True))], [], id="of the other sign"),
    ],
)
def test_what_does_not_follow_is_found_with_its_place_and_figures(lines, taxes):
    told = why(lines, taxes)
    assert told is not None
    assert told.startswith("$.lines[0].taxes[0]." if not taxes else "$.taxes[0].")
    assert " is from " in told or " it is from " in told
