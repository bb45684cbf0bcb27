"""The contract of a till transaction: its examples, and the code against the JSON Schema."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.support import ROOT
from tests.support.contracts import validator
from tillstream.domain.transaction import (
    REASONS,
    InvalidTransaction,
    parse,
)

CONTRACT = ROOT / "state_schemas" / "events" / "pos_transaction"
VALID = sorted((CONTRACT / "examples" / "valid").iterdir())
INVALID = sorted((CONTRACT / "examples" / "invalid").iterdir())


SCHEMA = validator(CONTRACT / "v1.json")


def accepted_by_schema(document: Any) -> bool:
    if not SCHEMA.is_valid(document):
        return False
    total = sum(line["quantity"] * line["unit_price_cents"] for line in document["lines"])
    return (
        total == document["total_cents"] and document.get("refers_to") != document["transaction_id"]
    )


def accepted_by_parse(raw: bytes) -> bool:
    try:
        parse(raw)
    except InvalidTransaction as refused:
        return refused.reason not in REASONS  # an unknown reason counts as a wrong answer
    return True


@pytest.mark.parametrize("path", VALID, ids=lambda p: p.stem)
def test_valid_example_is_accepted_by_code_and_schema(path: Path) -> None:
    document = json.loads(path.read_bytes())
    transaction = parse(path.read_bytes())
    SCHEMA.validate(document)
    for name, value in document.items():
        if name != "lines":
            assert getattr(transaction, name) == value
    assert [line.product for line in transaction.lines] == [d["product"] for d in document["lines"]]


@pytest.mark.parametrize("path", INVALID, ids=lambda p: p.stem)
def test_invalid_example_is_refused_with_its_reason(path: Path) -> None:
    with pytest.raises(InvalidTransaction) as refused:
        parse(path.read_bytes())
    assert refused.value.reason == path.stem.split("--")[0]
    try:
        document = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        return
    if refused.value.reason != "field_twice":  # of two values a schema sees the last
        assert not accepted_by_schema(document)


def test_every_reason_has_an_example() -> None:
    assert {p.stem.split("--")[0] for p in INVALID} == set(REASONS)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads((CONTRACT / "v1.json").read_text()))


def test_message_names_the_path_and_never_the_value() -> None:
    document = json.loads(
        (CONTRACT / "examples/valid/sale_of_100_rand_earns_10_points.json").read_bytes()
    )
    secret = "Nomsa-0821234567"
    for path in (["lines", 1, "quantity"], ["till"], ["currency"], ["payment_method"], ["schema"]):
        changed = copy.deepcopy(document)
        node: Any = changed
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = secret
        with pytest.raises(InvalidTransaction) as refused:
            parse(orjson.dumps(changed))
        shown = "$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path)
        assert shown in refused.value.message
        assert secret not in str(refused.value)
    with pytest.raises(InvalidTransaction) as refused:
        parse(orjson.dumps(document | {secret: 1}))
    assert secret not in str(refused.value)


ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.integers(min_value=-(2**63), max_value=2**64 - 1),
    st.sampled_from([99, 100, 2900, 2901, 9999, 10_000, 10**8, 10**8 + 1, 2**53 - 1, 2**53]),
    st.sampled_from([1420070399999, 1420070400000, 4133980799999, 4133980800000]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1.0, "", "sale", "refund", "void", "card", "cash", "ZAR\n", "C0000012345\n"]),
    st.sampled_from(
        ["tok_" + "a" * 16, "tok_" + "a" * 33, "bakery", "é" * 8, "0123-04-20261124-9"]
    ),
    st.text(max_size=12),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=1),
)


@st.composite
def mutated_transactions(draw: st.DrawFn) -> Any:
    """A valid example with up to three changes, often repaired in its total."""
    document = json.loads(draw(st.sampled_from(VALID)).read_bytes())
    fields = [*document, "customer_id", "card_token", "refers_to", "points_to_redeem", "extra"]
    for _ in range(draw(st.integers(0, 3))):
        target = document
        names = fields
        lines = document.get("lines")
        if draw(st.booleans()) and isinstance(lines, list) and lines and isinstance(lines[0], dict):
            target = lines[draw(st.integers(0, len(lines) - 1))]
            if not isinstance(target, dict):
                continue
            names = ["product", "quantity", "unit_price_cents", "category", "extra"]
        name = draw(st.sampled_from(names))
        if draw(st.integers(0, 3)) == 0:
            target.pop(name, None)
        else:
            target[name] = draw(ODD_VALUES)
    if draw(st.booleans()):
        with contextlib.suppress(TypeError, KeyError, ValueError):
            # int(...) refuses a list: a list times a huge number is a MemoryError, not a total.
            document["total_cents"] = sum(
                int(line["quantity"]) * int(line["unit_price_cents"]) for line in document["lines"]
            )
    return document


@settings(max_examples=1500, deadline=None)
@given(mutated_transactions())
def test_code_and_schema_accept_the_same(document: Any) -> None:
    try:
        raw = orjson.dumps(document)
    except (TypeError, orjson.JSONEncodeError):  # an integer beyond 64 bits
        return
    assert accepted_by_parse(raw) == accepted_by_schema(orjson.loads(raw))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
@example(b"")
@example(b"[" * 100_000)
@example(b'{"schema":' * 5000)
@example(b'"\\ud800"')
@example(b"\xef\xbb\xbf{}")
def test_arbitrary_bytes_raise_nothing_but_invalid_transaction(raw: bytes) -> None:
    accepted_by_parse(raw)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(VALID), st.data())
def test_damaged_bytes_raise_nothing_but_invalid_transaction(path: Path, data: Any) -> None:
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    accepted_by_parse(bytes(raw))


@pytest.mark.parametrize("place", ["category", "region", "refers_to"])
def test_a_text_with_a_blank_is_refused_whatever_the_others_hold(place: str) -> None:
    document = json.loads((VALID[0]).read_bytes())
    if place == "category":
        document["lines"][0]["category"] = "bread 60012345 bread"
    else:
        document |= {place: "western-cape 60012345 bread"}
    with pytest.raises(InvalidTransaction) as caught:
        parse(json.dumps(document).encode())
    assert caught.value.reason == "bad_format"


@pytest.mark.parametrize("name", ["x - at `4111111111111111", "x` - at `$4111111111111111"])
def test_the_name_of_an_unknown_field_is_not_told(name: str) -> None:
    document = json.loads((VALID[0]).read_bytes()) | {name: 1}
    with pytest.raises(InvalidTransaction) as caught:
        parse(json.dumps(document).encode())
    assert (caught.value.reason, caught.value.message) == (
        "unknown_field",
        "$ has an unknown field",
    )
