"""Contract v2 of a till transaction: its examples, its JSON Schema, and that only what adds up passes."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.support import ROOT
from tests.support.receipts import receipts
from tillstream.domain.receipt import contract
from tillstream.domain.receipt.contract import RetailTransaction
from tillstream.domain.receipt.parse import convert, parse
from tillstream.domain.receipt.sums import RULES
from tillstream.domain.transaction import REASONS, InvalidTransaction
from tillstream.state_schemas.events.pos_transaction.__main__ import schema

CONTRACT = ROOT / "state_schemas" / "events" / "pos_transaction"
VALID = sorted((CONTRACT / "examples_v2" / "valid").iterdir())
INVALID = sorted((CONTRACT / "examples_v2" / "invalid").iterdir())
SCHEMA = Draft202012Validator(json.loads((CONTRACT / "v2.json").read_text()))
BEYOND_THE_SCHEMA = {*RULES, "field_twice", "refers_to_itself", "refers_to_missing",
                     "refers_to_unexpected", "points_not_allowed", "out_of_range"}  # fmt: skip


def test_the_schema_is_that_of_the_types():
    written = (CONTRACT / "v2.json").read_bytes()
    assert written == schema(), "python -m tillstream.state_schemas.events.pos_transaction"


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_valid_examples(path: Path) -> None:
    raw = path.read_bytes()
    found = parse(raw)
    assert parse(msgspec.json.encode(found)) == found
    assert convert(msgspec.json.Decoder(float_hook=Decimal).decode(raw)) == found
    assert SCHEMA.is_valid(json.loads(raw))


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_invalid_examples(path: Path) -> None:
    reason = path.stem.partition("--")[0]
    assert reason in REASONS or reason in RULES
    with pytest.raises(InvalidTransaction) as caught:
        parse(path.read_bytes())
    assert caught.value.reason == reason
    assert "4111" not in caught.value.message
    if reason not in BEYOND_THE_SCHEMA | {"not_json"}:
        assert not SCHEMA.is_valid(json.loads(path.read_bytes()))


def test_every_rule_has_an_example():
    shown = {path.stem.partition("--")[0] for path in INVALID}
    assert shown >= set(RULES)


@pytest.mark.parametrize("field", ["transaction_id", "store", "till", "cashier"])
def test_an_id_that_ends_in_a_newline_is_none(field: str) -> None:
    document = json.loads(VALID[0].read_bytes()) | {field: "A1\n"}
    with pytest.raises(InvalidTransaction, match="bad_format"):
        parse(json.dumps(document).encode())


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999999999", "-0.001"])
@pytest.mark.parametrize("field", ["quantity", "price", "list_price"])
def test_a_number_that_is_none_is_refused(field: str, value: str) -> None:
    document = json.loads(VALID[0].read_bytes())
    document["lines"][0][field] = value
    with pytest.raises(InvalidTransaction):
        parse(json.dumps(document).encode())


@given(receipts(), st.sampled_from(["total", "line", "discount", "tax", "rounding", "tender"]),
       st.sampled_from([-1, 1]))  # fmt: skip
def test_a_receipt_passes_and_one_unit_more_or_less_anywhere_does_not(document, where, by):
    raw = json.dumps(document).encode()
    assert isinstance(parse(raw), RetailTransaction)
    if where in ("total", "rounding"):
        document[where] += by
    elif where == "line":
        counted = [line for line in document["lines"] if not line["voided"]]
        if not counted:
            return
        counted[0]["amount"] += by
    else:
        document[{"discount": "discounts", "tax": "taxes", "tender": "tenders"}[where]][0][
            "amount"
        ] += by
    with pytest.raises(InvalidTransaction) as caught:
        parse(json.dumps(document).encode())
    wanted = {"tenders_total"}
    if where != "tender":
        wanted = {"lines_total", "line_sign", "nothing_to_correct", "discount"}
    assert caught.value.reason in wanted


@given(st.binary(max_size=200) | st.recursive(st.none() | st.booleans() | st.integers() | st.text(),
       lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)).map(
           lambda document: json.dumps(document).encode()))  # fmt: skip
def test_nothing_but_a_refusal_comes_of_anything_else(raw: bytes) -> None:
    with pytest.raises(InvalidTransaction):
        parse(raw)


def with_decimal(field: str, value: Any) -> dict[str, Any]:
    tax = {"code": "S", "amount": 0}
    line = {"number": 1, "kind": "sale", "amount": 100, "code": "", "taxes": [tax]}
    document: dict[str, Any] = {
        "schema": 2, "transaction_id": "T-1", "kind": "retail", "store": "1", "till": "1", "total": 100,
        "ended_at": "2026-11-29T15:18:04+02:00", "currency": "ZAR", "lines": [line], "taxes": [dict(tax)],
    }  # fmt: skip
    if field == "lines.rate":
        tax["rate"] = value
    elif field == "rate":
        document["taxes"][0]["rate"] = value
    else:
        line[field] = value
    return document


DECIMALS = ("quantity", "list_price", "price", "lines.rate", "rate")


def test_every_decimal_of_the_contract_is_looked_at():
    names = [
        field.name
        for part in (contract.ReceiptLine, contract.Tax, contract.Tender, contract.Discount,
                     contract.Loyalty, contract.Back, RetailTransaction)
        for field in msgspec.structs.fields(part)
        if "Decimal" in str(field.type)
    ]  # fmt: skip
    assert set(names) == {name.removeprefix("lines.") for name in DECIMALS}


@given(
    st.sampled_from(DECIMALS),
    st.sampled_from(["1e3", "1E0", "\uff10.7", "\u0661", "1_000", " 1", "1 ", "+1", ".5", "1.", "-0", "0x1",
                     "01", "NaN", "inf", "1.50", "", "7"])
    | st.text("0123456789.-+eE_ \uff11\u0661", max_size=6),
)  # fmt: skip
def test_a_decimal_that_is_a_text_has_the_form_of_the_schema(field, text):
    document = with_decimal(field, text)
    raw = json.dumps(document, ensure_ascii=False).encode()
    ways: tuple[tuple[Any, Any], ...] = ((parse, raw), (convert, document))
    for read, sent in ways:
        try:
            read(sent)
            taken = True
        except InvalidTransaction as error:
            taken = error.reason in ("quantity", "out_of_range")  # its value, not its form
        if not taken or not SCHEMA.is_valid(document):
            with pytest.raises(InvalidTransaction):
                read(sent)
            assert not SCHEMA.is_valid(document), text
