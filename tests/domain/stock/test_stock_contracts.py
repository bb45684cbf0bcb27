"""The contracts of stock movements and promotions: their examples, and the code against the schemas."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import ROOT
from tests.support.contracts import accepted_by_code, judge_example, validator
from tillstream.domain.promotions import promotion
from tillstream.domain.stock import assortment
from tillstream.domain.stock import movement as stock_movement

SCHEMAS = ROOT / "state_schemas" / "events"
PARSERS = {
    "stock_movement": stock_movement.parse,
    "promotion": promotion.parse,
    "assortment": assortment.parse,
}
EXAMPLES = [
    path for name in PARSERS for path in sorted((SCHEMAS / name).glob("examples*/*/*.json"))
]
VALIDATORS = {
    (name, int(path.stem[1:])): validator(path)
    for name in PARSERS
    for path in (SCHEMAS / name).glob("v*.json")
}


def accepted_by_schema(contract: str, document: dict) -> bool:
    version = document.get("schema")
    known = type(version) is int and (contract, version) in VALIDATORS
    if not VALIDATORS[contract, version if known else 1].is_valid(document):
        return False
    return contract != "promotion" or document["end_ms"] > document["start_ms"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parts[-4]}/{p.stem}")
def test_every_example_is_judged_as_its_name_says(path):
    contract = path.parts[-4]
    judge_example(path, PARSERS[contract], lambda document: accepted_by_schema(contract, document))


odd = st.sampled_from(
    [0, 1, 2, -1, 1.0, "ZAR", 45, 3000, 9003, 2**31, 2**63, True, None, "", "x", "count", "delivery", "plan",
     "write_off", "transfer_in", "expired", "cancelled", "T1", [], {}, [1], ["2000000000411"],
     "close", "relist", "ZA", "team:x",
     "2000000000411", "plu-4011", "plu-123456", "45-2000000000411-000001", "45-plu-4011-000001",
     1_764_072_000_000]
)  # fmt: skip
VALID = [path for path in EXAMPLES if path.parts[-2] == "valid"]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(VALID), st.data())
def test_code_and_schema_judge_any_change_alike(path, data):
    contract = path.parts[-4]
    document = copy.deepcopy(json.loads(path.read_bytes()))
    names = [*VALIDATORS[contract, document["schema"]].schema["properties"], "colour"]
    for _ in range(data.draw(st.integers(1, 2))):
        where = document
        if isinstance(document.get("lines"), list) and data.draw(st.booleans()):
            lines = [line for line in document["lines"] if isinstance(line, dict)]
            where = data.draw(st.sampled_from(lines)) if lines else document
        pool = ["product", "quantity", "order_id", "price"] if where is not document else names
        name = data.draw(st.sampled_from(pool))
        if data.draw(st.booleans()):
            where[name] = data.draw(odd)
        else:
            where.pop(name, None)
    assert accepted_by_code(PARSERS[contract], document) == accepted_by_schema(
        contract, document
    ), document


def test_a_movement_becomes_a_line_for_each_product_signed_by_its_kind():
    out = (SCHEMAS / "stock_movement/examples/valid/transfer_out_of_store_46.json").read_bytes()
    (line,) = stock_movement.lines(stock_movement.parse(out))
    assert (line.line_id, line.store, line.quantity) == ("M:0046-out-20251125-2/1", 46, -12)
