"""Money to the last unit of its currency, weights to the gram, and one code for one product."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.domain.receipt.amounts import (
    NotExact,
    exponent,
    minor_units,
    shown,
    thousandths,
)
from tillstream.domain.receipt.product import (
    BY_COUNTRY,
    Embedded,
    Product,
    canonical,
    check_digit,
    printed,
    same,
)


@pytest.mark.parametrize(("currency", "decimals"), [("ZAR", 2), ("UGX", 0), ("KWD", 3), ("CLF", 4)])
def test_decimals_of_a_currency(currency, decimals):
    assert exponent(currency) == decimals
    assert minor_units("12", decimals) == 12 * 10**decimals


@pytest.mark.parametrize("code", ["XXX", "", "zar", "EURO"])
def test_what_is_no_currency(code):
    with pytest.raises(LookupError):
        exponent(code)


@given(st.integers(-(10**14), 10**14), st.sampled_from(["ZAR", "UGX", "KWD"]))
def test_money_survives_being_shown(minor, currency):
    assert minor_units(shown(minor, currency).split()[0], exponent(currency)) == minor


def test_what_a_program_that_counts_in_binary_writes_is_what_it_meant():
    assert minor_units(Decimal("304.57000000000005"), 2) == 30_457
    assert thousandths(repr(0.1 + 0.2)) == 300


@pytest.mark.parametrize(
    "amount", ["0.005", "1.234", "abc", "NaN", "Infinity", "1e400", "", "1e17"]
)
def test_money_that_cannot_be_kept_exactly_is_refused(amount):
    with pytest.raises(NotExact):
        minor_units(amount, 2)


@pytest.mark.parametrize("code", ["05901234123457", "5901234123457"])
def test_a_gtin_is_14_digits_however_it_came(code):
    assert canonical("gtin", code) == Product("05901234123457")


def test_the_shelf_of_5_by_ean_13_and_48_by_gtin_14_is_one():
    assert canonical("barcode", "6001240100035") == canonical("gtin", "06001240100035")


@given(
    st.text("0123456789", min_size=7, max_size=7) | st.text("0123456789", min_size=11, max_size=13)
)
def test_every_gtin_keeps_its_digits(digits):
    code = digits + check_digit(digits)
    found = canonical("gtin", code).code
    significant = code.lstrip("0")
    if len(significant) > 6:
        assert found == code.zfill(14)
    else:  # so few digits are a PLU that a till has made longer
        assert found == (f"plu-{significant[:-1] or '0'}" if significant else "")


def test_a_wrong_check_digit_makes_it_somebodys_own_code():
    assert canonical("gtin", "5901234123458").code == "sku-5901234123458"


@pytest.mark.parametrize(("scheme", "code", "product"), [
    ("plu", "4011", "plu-4011"), ("plu", "04011", "plu-4011"), ("gtin", "00000000940115", "plu-94011"),
    ("sku", "M-BAT-1", "sku-M-BAT-1"), ("name", "Tomate  CHERRY", "name-tomate-cherry"),
    ("gtin", "", ""), ("barcode", "00000000000000", ""),
    ("gtin", "\u0661\u0662\u0663", "sku-\u0661\u0662\u0663"),
])  # fmt: skip
def test_other_codes(scheme, code, product):
    assert canonical(scheme, code).code == product


def test_bananas_of_any_price_are_one_product():
    """As a US till writes a code of its scales: the item's with zeros for the price."""
    codes = ["205601001234", "205601005678"]
    made = {canonical("barcode", c[:11] + check_digit(c[:11]), BY_COUNTRY["US"]) for c in codes}
    assert {product.code for product in made} == {"00205601000002"}
    assert {product.price for product in made} == {123, 567}


def test_a_weight_in_the_code_is_a_weight():
    grams = Embedded("23IIIIIWWWWWC")
    code = "231234500734"
    found = canonical("barcode", code + check_digit(code), [grams])
    assert (found.weight, found.price) == (734, None)
    assert found.code == canonical("gtin", "2312345000000"[:12] + check_digit("231234500000")).code


def test_a_code_that_is_said_to_be_a_gtin_is_not_taken_apart():
    code = "205601001234"[:11] + check_digit("20560100123")
    assert canonical("gtin", code, BY_COUNTRY["US"]).code == code.zfill(14)


@pytest.mark.parametrize(
    ("said", "known"),
    [("6001240100035", "6001240100035"), ("06001240100035", "6001240100035"),
     ("6001234567890", "6001234567890"), ("00040112", "plu-4011"), ("plu-04011", "plu-4011"),
     ("00000000", "00000000"), ("plu-x", "plu-x"), ("sku-7", "sku-7"), ("milk", "milk"), ("", "")],
)  # fmt: skip
def test_a_document_s_product_is_that_of_the_till_s_lines(said, known):
    assert same(said) == known
    assert same(known) == known


@given(st.from_regex(r"\A[0-9]{8,14}\Z").filter(lambda code: code.strip("0")))
def test_a_product_of_contract_v1_is_the_same_in_a_document(code):
    assert same(code) == printed(canonical("gtin", code).code)
