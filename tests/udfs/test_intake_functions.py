"""The front door in the harness: each transaction once, whatever it came as, and nothing lost."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from tests.domain.receipt.test_contract import VALID
from tests.support import ROOT
from tests.support.batched_harness import BatchedHarness
from tests.support.harness import KeyedHarness
from tests.support.sales import sale
from tillstream import reference
from tillstream.conf import load
from tillstream.domain.envelope import seal, unseal
from tillstream.domain.mapping.spec import read
from tillstream.domain.notice import parse as parse_notice
from tillstream.domain.receipt.canonical import Receipt
from tillstream.domain.receipt.currencies import is_used
from tillstream.domain.receipt.product import check_digit
from tillstream.udfs.intake import RAW, VOIDS, ByMapping, IntakeOnce, intake_once
from tillstream.udfs.passing.voids import judged
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings

CONF = load("local")
ARRIVED = 4_000_000_000_000
APPLES = next(path for path in VALID if path.stem == "apples_of_734_grams").read_bytes()
MAPPING = read(
    yaml.safe_load("""
mapping: corner-shop
version: 1
about: a till that sends its day
form: json
records: sales
record: {number: present}
skip: [{when: {opened: true}, reason: drawer}]
receipt:
  transaction_id: {template: "{shop}-{number}"}
  store: shop
  till: {const: "1"}
  ended_at: at
  currency: {store: currency}
  total: total
lines:
  - {each: items, set: {kind: {const: sale}, scheme: {const: sku}, code: name, amount: price}}
""")
)


def front_door() -> BatchedHarness:
    return BatchedHarness(intake_once(CONF))


def sent(harness: BatchedHarness, raw: bytes, offset: int = 0) -> list[Receipt]:
    before = len(harness.main)
    key = json.loads(raw)["transaction_id"]
    harness.process((key, seal(f"kafka:tills/0/{offset}", ARRIVED, raw)))
    made = harness.main[before:] + [
        judged(value)[2].written for value in harness.side.pop(VOIDS, ())
    ]
    return [msgspec.json.decode(one, type=Receipt) for one in made]


def letters(harness: Any) -> list[tuple[str, str]]:
    return [(one["stage"], one["reason"]) for one in map(json.loads, harness.side[DEAD_LETTERS])]


def test_both_contracts_have_one_form_that_says_where_they_came_from():
    harness = front_door()
    (new,) = sent(harness, APPLES, 4)
    (old,) = sent(harness, json.dumps(sale()).encode(), 5)
    assert (new.source, new.store, new.region, new.lines[0].product) == (
        "pos/2",
        147,
        "namibia",
        "plu-4011",
    )
    assert (old.source, old.store, old.key) == ("pos/1", 45, "C0000000001")
    assert (new.origin, new.arrived_ms, new.key) == ("kafka:tills/0/4", ARRIVED, "147/3")
    assert letters(harness) == []


def test_a_repeat_is_dropped_and_another_content_is_told():
    harness = front_door()
    assert len(sent(harness, APPLES)) == 1
    assert sent(harness, APPLES, 1) == []
    assert letters(harness) == []
    other = json.loads(APPLES) | {"cashier": "9"}
    assert sent(harness, json.dumps(other).encode(), 2) == []
    assert letters(harness) == [("apply", "id_conflict")]


def test_what_breaks_a_rule_or_is_ahead_or_of_no_store_is_a_dead_letter():
    harness = front_door()
    ahead = {"ended_at": "2099-01-01T00:00:00Z", "business_day": None}
    for change in ({"total": 1}, {"store": "9999"}, ahead):
        assert sent(harness, json.dumps(json.loads(APPLES) | change).encode()) == []
    assert letters(harness) == [
        ("validate", "lines_total"), ("validate", "unknown_store"), ("validate", "clock_ahead"),
    ]  # fmt: skip
    assert len(sent(harness, APPLES)) == 1  # none of them took its id


def test_a_store_that_is_not_in_the_table_is_taken_if_the_grocer_wants_so_and_told_once_a_day():
    conf = load("local", {"intake": {"unknown_stores": "accept"}})
    harness = BatchedHarness(intake_once(conf))
    for n in range(3):
        change = {"store": "09999", "transaction_id": f"new-{n}"}
        (receipt,) = sent(harness, json.dumps(json.loads(APPLES) | change).encode())
        assert (receipt.store, receipt.region, receipt.offset_min) == (9999, "unknown", 0)
    (told,) = (parse_notice(one) for one in harness.side["notices"])
    assert (told.template, told.params, told.recipient) == (
        "unknown_store", {"stores": "9999"}, "team:platform",
    )  # fmt: skip
    assert len(sent(harness, json.dumps(sale(currency="BWP")).encode())) == 1
    assert len(harness.side["notices"]) == 1
    for named in ("shop-nine", "0", "99999999999999999999", "٣"):
        document = json.loads(APPLES) | {"store": named, "transaction_id": "other"}
        assert sent(harness, json.dumps(document).encode()) == []
    assert {reason for _, reason in letters(harness)} == {"unknown_store", "bad_format"}


def priced_in(currency: str, n: int, **changes: Any) -> bytes:
    changes |= {"currency": currency, "transaction_id": f"{currency}-{n}"}
    return json.dumps(json.loads(APPLES) | changes).encode()


def test_dollars_at_a_rand_store_are_taken_and_told_and_counted():
    harness = front_door()
    for n in range(12):
        (receipt,) = sent(harness, priced_in("USD", n, store="1"))
        assert receipt.currency == "USD"
    told = [parse_notice(one) for one in harness.side["notices"]]
    assert [(one.template, one.recipient, one.params) for one in told] == [
        ("other_currency", "team:platform", {"stores": "1", "currency": "USD", "transactions": n})
        for n in (1, 10)
    ]
    assert len({one.notice_id for one in told}) == 2
    assert (
        len(sent(harness, json.dumps(sale(store=1, currency="BWP")).encode())) == 1
    )  # contract v1
    assert json.loads(harness.side["notices"][2])["params"]["currency"] == "BWP"


@pytest.mark.parametrize("code", ["", " ", "00000000"])
def test_goods_without_a_product_are_taken_and_told_and_counted(code):
    harness = front_door()
    for n in range(10):
        document = json.loads(wrongly_taxed(n, store="1"))
        line = {"number": 1, "kind": "sale", "amount": 1_500, "code": code}
        document |= {"lines": [line, line | {"number": 2, "kind": "fee"}], "total": 3_000}
        (receipt,) = sent(harness, json.dumps(document).encode())
        assert (receipt.total, receipt.lines[0].product, receipt.lines[0].paid) == (
            3_000,
            "",
            1_500,
        )
    told = [parse_notice(one) for one in harness.side["notices"]]
    assert [(one.template, one.params["transactions"]) for one in told] == [
        ("no_product", 1), ("no_product", 10),
    ]  # fmt: skip
    assert letters(harness) == []


def test_rand_where_they_are_tender_too_is_nothing_to_tell():
    harness = front_door()
    assert len(sent(harness, priced_in("ZAR", 1, store="147"))) == 1  # in Namibia
    assert len(sent(harness, priced_in("NAD", 2, store="147"))) == 1
    assert len(sent(harness, priced_in("BWP", 3, store="45"))) == 1  # in Botswana
    assert "notices" not in harness.side or harness.side["notices"] == []


def test_dollars_where_shops_price_in_them_are_nothing_odd():
    assert is_used("USD", "LBP", "LB")
    assert is_used("USD", "VES", "VE")
    assert is_used("ZAR", "ZWG", "ZW")
    assert not is_used("ZAR", "VES", "VE")


def test_another_currency_is_a_dead_letter_if_the_grocer_wants_so():
    conf = load("local", {"intake": {"other_currencies": "refuse"}})
    harness = BatchedHarness(intake_once(conf))
    assert sent(harness, priced_in("USD", 1, store="1")) == []
    assert sent(harness, json.dumps(sale(store=1, currency="BWP")).encode()) == []
    assert letters(harness) == [("validate", "other_currency")] * 2
    assert len(sent(harness, priced_in("ZAR", 1, store="1"))) == 1


def wrongly_taxed(n: int, **changes: Any) -> bytes:
    """R15.10 on top of R15.00, at fifteen percent."""
    document = json.loads(APPLES)
    for name in ("taxes", "tenders", "discounts", "rounding"):
        document.pop(name, None)
    line = {"number": 1, "kind": "sale", "scheme": "sku", "code": "a", "amount": 1_500}
    tax = {"code": "S", "rate": 15, "amount": 1_510, "included": False}
    changes |= {"lines": [line | {"taxes": [tax]}], "total": 3_010, "transaction_id": f"tax-{n}"}
    return json.dumps(document | changes).encode()


def test_a_sale_whose_tax_does_not_follow_from_its_rate_is_not_lost_but_told_and_counted():
    harness = front_door()
    for n in range(12):
        (receipt,) = sent(harness, wrongly_taxed(n, store="1"))
        assert (receipt.total, receipt.tax) == (3_010, 1_510)
    assert letters(harness) == []
    first, tenth = (parse_notice(one) for one in harness.side["notices"] if b'"tax_rate"' in one)
    assert (first.template, first.recipient, first.params) == (
        "tax_rate",
        "team:platform",
        {
            "stores": "1",
            "currency": "ZAR",
            "transactions": 1,
            "transaction_id": "tax-0",
            "why": "$.lines[0].taxes[0].amount is 1510, by 15 % of 1500 it is from -1 to 233 minor units",
        },
    )
    assert (tenth.params["transactions"], tenth.params["transaction_id"]) == (10, "tax-9")
    assert first.notice_id != tenth.notice_id


def test_tax_that_does_not_follow_is_a_dead_letter_if_the_grocer_wants_so_but_never_a_void():
    harness = BatchedHarness(intake_once(load("local", {"intake": {"tax_rates": "refuse"}})))
    assert sent(harness, wrongly_taxed(1)) == []
    assert letters(harness) == [("validate", "tax_rate")]
    (void,) = sent(harness, wrongly_taxed(2, kind="void", voids="tax-0"))
    assert (void.kind, void.total) == ("void", -3_010)


def test_a_training_till_sells_nothing():
    harness = front_door()
    assert sent(harness, json.dumps(json.loads(APPLES) | {"training": True}).encode()) == []
    assert (letters(harness), len(sent(harness, APPLES))) == ([], 1)


def kept(harness: Any) -> list[tuple[str | None, bytes]]:
    return [(one["transaction_id"], b64decode(one["raw"]))
            for one in map(json.loads, harness.side[RAW])]  # fmt: skip


def test_what_a_till_sent_is_kept_as_it_came_and_once():
    harness = front_door()
    old = json.dumps(sale(), indent=1).encode()
    for raw in (APPLES, old, APPLES, b'{"total": 1, ' + APPLES[1:]):
        sent(harness, raw)
    apples = json.loads(APPLES)["transaction_id"]
    assert kept(harness) == [(apples, APPLES), (sale()["transaction_id"], old)]


def test_a_card_number_in_what_a_till_prints_is_not_kept():
    harness = front_door()
    document = json.loads(APPLES)
    document["lines"][0]["description"] = "refund to 4111 1111 1111 1111"
    sent(harness, json.dumps(document).encode())
    ((_, raw),) = kept(harness)
    assert b"**** **** **** 1111" in raw
    assert b"4111 1111" not in raw


def test_the_grocer_may_keep_no_raw_records():
    conf = load("local", {"intake": {"keep_raw": False}})
    harness = BatchedHarness(intake_once(conf))
    assert len(sent(harness, APPLES)) == 1
    assert kept(harness) == []


def mapped() -> KeyedHarness:
    stores = reference.known_stores(CONF)
    return KeyedHarness(ByMapping(StageSettings("intake"), [MAPPING], stores))


SALE = {"shop": 45, "at": "2026-11-28T18:30:00", "items": [{"name": "Bread", "price": 12}]}
TOTALS = {1: 12, 2: 13, 3: 12}
DAY = {"sales": [*(SALE | {"number": n, "total": total} for n, total in TOTALS.items()),
                 {"number": 4, "opened": True}]}  # fmt: skip


def test_each_record_of_a_makers_document_goes_on_as_contract_v2():
    harness = mapped()
    made = harness.process("~1", seal("kafka:tills/0/7", ARRIVED, json.dumps(DAY).encode()))
    lines = [one.partition(b"\n") for one in made]
    assert [line[0] for line in lines] == [b"45-1", b"45-3"]
    door = BatchedHarness(intake_once(CONF, [MAPPING]))
    for identity, _, value in lines:
        assert unseal(value).origin == "kafka:tills/0/7"
        door.process((identity.decode(), value))
    (document,) = kept(harness)
    assert (document, kept(door)) == ((None, json.dumps(DAY).encode()), [])
    receipts = [msgspec.json.decode(one, type=Receipt) for one in door.main]
    assert [(one.transaction_id, one.total, one.source) for one in receipts] == [
        ("45-1", 1200, "corner-shop/1"), ("45-3", 1200, "corner-shop/1"),
    ]  # fmt: skip
    assert letters(door) == []


def test_a_record_that_does_not_add_up_is_a_dead_letter_by_itself_that_the_mapping_reads_again():
    harness = mapped()
    harness.process("~1", seal("kafka:tills/0/7", ARRIVED, json.dumps(DAY).encode()))
    assert letters(harness) == [("map", "lines_total")]
    (letter,) = map(json.loads, harness.side[DEAD_LETTERS])
    again = mapped()
    repaired = b64decode(letter["raw_b64"]).decode().replace('"total":13', '"total":12')
    (made,) = again.process("~1", seal("kafka:tills/0/8", ARRIVED, repaired.encode()))
    assert made.startswith(b"45-2\n")


@pytest.mark.parametrize(("raw", "reason"), [
    (b"", "not_json"), (b"{}", "missing_field"), (b"[1]", "not_an_object"), (b"<a/>", "not_json"),
    (b"[]", "not_an_object"), (b"[]\n[]\n", "not_json"), (b"\n", "not_json"),
    (json.dumps(sale() | {"till": 0}).encode(), "out_of_range"),
])  # fmt: skip
def test_what_no_mapping_knows_is_refused_as_contract_v1_would(raw, reason):
    harness = mapped()
    assert harness.process("~1", seal("kafka:tills/0/7", ARRIVED, raw)) == []
    assert letters(harness) == [("validate", reason)]


def test_a_page_of_a_maker_that_has_no_records_is_neither_sent_on_nor_refused():
    harness = mapped()
    assert harness.process("~1", seal("kafka:tills/0/7", ARRIVED, b'{"sales": []}')) == []
    assert (letters(harness), kept(harness)) == ([], [])


def test_a_line_of_a_makers_file_that_is_cut_is_a_dead_letter_of_its_own():
    harness = mapped()
    day = [json.dumps(SALE | {"number": n, "total": 12}).encode() for n in (1, 2, 3)]
    day[1] = day[1][:40]
    made = harness.process("~1", seal("kafka:tills/0/7", ARRIVED, b"\n".join(day)))
    assert [one.partition(b"\n")[0] for one in made] == [b"45-1", b"45-3"]
    assert letters(harness) == [("map", "not_json")]
    (letter,) = map(json.loads, harness.side[DEAD_LETTERS])
    assert b64decode(letter["raw_b64"]) == day[1]


def test_the_settings_name_mappings_that_are_there():
    assert {f"{name}.yaml" for name in CONF.intake.mappings} <= {
        path.name for path in Path(ROOT / "conf" / "mappings").iterdir()
    }


@pytest.mark.parametrize(("category", "kind", "agency"), [
    ("gift-cards", "gift_card", ""), ("airtime", "agency", "airtime"), ("bakery", "sale", ""),
])  # fmt: skip
def test_what_tills_ring_up_as_goods_and_is_none_is_told_by_its_category(category, kind, agency):
    old = sale("0045-03-20251124-000001", category=category)
    new = json.loads(APPLES)
    new["lines"][0]["category"] = category
    for raw in (json.dumps(old).encode(), json.dumps(new | {"transaction_id": "v2-1"}).encode()):
        (receipt,) = sent(front_door(), raw)
        assert (receipt.lines[0].kind, receipt.lines[0].agency) == (kind, agency)


def test_a_gift_card_that_comes_back_is_one_and_names_its_receipt():
    back = sale(
        "0045-03-20251124-000002", category="gift-cards", kind="refund", refers_to="sale-0001"
    )
    (receipt,) = sent(front_door(), json.dumps(back).encode())
    (line,) = receipt.lines
    assert (line.kind, line.of, line.amount < 0, line.thousandths < 0) == (
        "gift_card", "sale-0001", True, True,
    )  # fmt: skip


def test_a_repeat_is_known_though_the_grocers_rules_have_changed_meanwhile():
    harness = front_door()
    raw = json.dumps(sale("0045-03-20251124-000001", category="gift-cards")).encode()
    assert len(sent(harness, raw)) == 1
    later = BatchedHarness(
        intake_once(load("local", {"intake": {"kinds": {"gift-cards": None, "bakery": "fee"}}}))
    )
    later.state = harness.state
    assert sent(later, raw, 1) == []
    assert later.side[DEAD_LETTERS] == []


def test_what_the_grocers_scales_print_is_the_item_at_whatever_price():
    """Else each price would be a product, and have a shelf of its own."""
    labels = ["2100042" + digits + check_digit("2100042" + digits) for digits in ("01234", "09900")]
    assert CONF.intake.scales == ["21IIIIIPPPPPC"]
    made = []
    for n, code in enumerate(labels):
        line = {"number": 1, "kind": "sale", "scheme": "barcode", "code": code, "amount": 1234}
        line |= {"quantity": 0.5, "unit": "kg"}
        changed = {"lines": [line], "total": 1234, "transaction_id": f"meat-{n}", "tenders": []}
        made += sent(front_door(), json.dumps(json.loads(APPLES) | changed).encode())
    first, second = (one.lines[0] for one in made)
    assert first.product == second.product == "0210004200000" + check_digit("0210004200000")
    assert (first.thousandths, first.unit) == (500, "kg")
    without = IntakeOnce(StageSettings.of("intake", CONF), reference.known_stores(CONF))
    (other,) = sent(BatchedHarness(without), json.dumps(json.loads(APPLES) | changed).encode())
    assert other.lines[0].product == f"0{labels[1]}"
