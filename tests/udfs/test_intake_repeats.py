"""A till's repeat is known as one, whatever became of the grocer's settings and tables meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.domain.receipt.test_contract import VALID
from tests.support import ROOT
from tests.support.batched_harness import BatchedHarness
from tests.support.sales import sale
from tests.udfs.test_intake_functions import APPLES, letters, sent
from tillstream.conf import load
from tillstream.domain.receipt.front_door import KnownStores, StorePlace
from tillstream.domain.receipt.product import check_digit
from tillstream.state_schemas.keyed import archived_mark
from tillstream.udfs.intake import IntakeOnce
from tillstream.udfs.stage import StageSettings

SETTINGS = StageSettings.of("intake", load("local"))
# As marks had them before they went by what was sent; two of them no longer do (OLD_...).
PRINTS: dict[str, str] = json.loads((ROOT / "tests/udfs/prints_of_receipts.json").read_text())
EXAMPLES = {path.stem: path.read_bytes() for path in VALID} | {
    "v1_sale": json.dumps(sale()).encode(),
    "v1_refund": json.dumps(sale("refund-001", kind="refund", refers_to="sale-0001")).encode(),
    "v1_void": json.dumps(sale("void-0001", kind="void", refers_to="sale-0001")).encode(),
}
WEIGHS = ("21IIIIIWWWWWC",)


def place(number: int) -> StorePlace:
    return StorePlace(number, "Africa/Johannesburg", "ZAR", "ZA", "gauteng")


def door(scales: tuple[str, ...] = (), stores: dict[str, int] | None = None) -> BatchedHarness:
    known = KnownStores({name: place(n) for name, n in (stores or {"147": 147, "45": 45}).items()})
    return BatchedHarness(IntakeOnce(SETTINGS, known, scales=scales))


def weighed(**changes: Any) -> bytes:
    """350 grams of cheese and, taken out again, 200: as a till says it that knows no weights."""
    codes = [body + check_digit(body) for body in ("210004200350", "210004200200")]
    lines = [
        {"number": n, "kind": "sale", "scheme": "barcode", "code": code, "amount": amount, **more}
        for n, (code, amount, more) in enumerate(
            [(codes[0], 3500, {}), (codes[1], 2000, {}), (codes[1], -2000, {"correction": True})], 1
        )
    ]
    lines.append({"number": 4, "kind": "sale", "code": "4011", "amount": 0, "voided": True})
    document = {"transaction_id": "cheese", "lines": lines, "total": 3500, "tenders": []}
    return json.dumps(json.loads(APPLES) | document | changes).encode()


def after(first: BatchedHarness, then: BatchedHarness, raw: bytes) -> list[tuple[str, str]]:
    """The dead letters of ``raw`` that comes again, to ``then``, with the marks of ``first``."""
    assert len(sent(first, raw)) == 1
    then.state = first.state
    assert sent(then, raw, 1) == []
    return letters(then)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_print_of_a_receipt_without_scales_codes_never_changes(name):
    harness, raw = door(WEIGHS), EXAMPLES[name]
    sent(harness, raw)
    mark = archived_mark.CODEC.decode(harness.state[json.loads(raw)["transaction_id"]])
    assert mark.fingerprint.hex() == PRINTS[name]


@pytest.mark.parametrize(("before", "now"), [((), WEIGHS), (WEIGHS, ())])
def test_a_repeat_is_known_though_scales_were_set_meanwhile(before, now):
    assert after(door(before), door(now), weighed()) == []


def test_another_weight_under_one_id_is_a_conflict_all_the_same():
    harness = door(WEIGHS)
    sent(harness, weighed())
    other = json.loads(weighed())
    other["lines"][0] |= {"quantity": 0.4, "unit": "kg"}
    sent(harness, json.dumps(other).encode(), 1)
    assert letters(harness) == [("apply", "id_conflict")]


def test_a_repeat_is_known_though_its_stores_number_was_put_right_meanwhile():
    stores = [door(stores={"JHB-9": number}) for number in (12, 21)]
    assert after(*stores, weighed(store="JHB-9")) == []
    assert after(door(), door(), weighed(store="0045")) == []


@pytest.mark.parametrize("old", ["OLD_SCALES", "OLD_STORE"])
def test_marks_of_before_know_their_repeats_too(old):
    """They have the weight of a scale's code and the table's number of a store."""
    stores = {"JHB-9": 12, "147": 147}
    harness = door(WEIGHS, stores)
    raw = weighed() if old == "OLD_SCALES" else EXAMPLES["apples_of_734_grams"]
    raw = json.dumps(json.loads(raw) | ({"store": "JHB-9"} if old == "OLD_STORE" else {})).encode()
    name = json.loads(raw)["transaction_id"]
    mark = archived_mark.Mark(bytes.fromhex(PRINTS[old]))
    harness.state[name] = archived_mark.CODEC.writer({})(mark)
    assert sent(harness, raw) == []
    assert letters(harness) == []
