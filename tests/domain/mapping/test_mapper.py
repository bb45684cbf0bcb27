"""A mapping is data: what it finds, what it refuses, and that a wrong one names its place."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.domain.mapping import trees
from tillstream.domain.mapping.mapper import DISCOUNT, LINE, LOYALTY, RECEIPT, TAX, TENDER, Mapper
from tillstream.domain.mapping.paths import Path, Scope
from tillstream.domain.mapping.spec import MappingProblem, read
from tillstream.domain.receipt import contract
from tillstream.domain.receipt.front_door import StorePlace
from tillstream.domain.transaction import InvalidTransaction

PLACES = {"S1": StorePlace(1, "Africa/Johannesburg", "ZAR", "ZA", "gauteng")}
SPEC: dict[str, Any] = {
    "mapping": "made-up", "version": 3, "about": "a made-up till", "form": "json",
    "records": "sales", "record": {"no": "present", "items": "present"},
    "receipt": {"transaction_id": {"template": "{shop}-{no}"}, "store": "shop", "till": {"const": "1"},
                "ended_at": {"path": "at", "format": "%d/%m/%Y %H:%M"},
                "currency": {"store": "currency"}, "total": "sum"},
    "lines": [{"each": "items", "set": {"kind": {"const": "sale"}, "scheme": {"const": "sku"},
                                        "code": "sku", "amount": "total"}}],
}  # fmt: skip
SALE = {"no": 7, "shop": "S1", "at": "28/11/2026 18:30", "sum": "12.50",
        "items": [{"sku": "A", "total": "10"}, {"sku": "B", "total": 2.5}]}  # fmt: skip


def mapped(spec: dict[str, Any], document: Any, **context: str) -> list[Any]:
    raw = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return list(Mapper(read(spec)).transactions(raw, PLACES.get, context))


def receipt(spec: dict[str, Any], document: Any, **context: str) -> contract.RetailTransaction:
    (one,) = mapped(spec, document, **context)
    assert one.problem is None, one.problem
    return one.receipt


def spec_with(**changes: Any) -> dict[str, Any]:
    return SPEC | changes


def receipt_with(**changes: Any) -> dict[str, Any]:
    return spec_with(receipt=SPEC["receipt"] | changes)


def test_a_sale_with_its_places_clock_and_currency():
    found = receipt(SPEC, {"sales": [SALE]})
    assert found.transaction_id == "S1-7"
    assert found.ended_at.isoformat() == "2026-11-28T18:30:00+02:00"
    assert (found.currency, found.total) == ("ZAR", 1250)
    assert [(line.number, line.code, line.amount) for line in found.lines] == [
        (1, "A", 1000),
        (2, "B", 250),
    ]


def test_each_record_stands_for_itself_and_its_own_bytes_give_the_same():
    wrong = SALE | {"no": 8, "sum": "99"}
    good, bad, other, strange = mapped(SPEC, {"sales": [SALE, wrong, SALE | {"no": 9}, {"x": 1}]})
    assert (good.receipt.transaction_id, other.receipt.transaction_id) == ("S1-7", "S1-9")
    assert bad.problem.reason == "lines_total"
    assert strange.problem.reason == "unknown_record"
    for one in (good, bad, other):
        (again,) = mapped(SPEC, one.raw)
        assert (again.receipt, str(again.problem)) == (one.receipt, str(one.problem))


def test_what_is_none_of_its_records_is_left_to_others():
    assert Mapper(read(SPEC)).documents(b'{"sales":[{"x":1}]}') == []
    assert Mapper(read(SPEC)).documents(b"3") == []


def test_a_store_that_the_table_does_not_have_is_named_as_such():
    (one,) = mapped(SPEC, SALE | {"shop": "S2"})
    assert one.problem.reason == "unknown_store"


def test_what_the_file_does_not_say_is_said_beside_it_and_never_instead():
    spec = spec_with(receipt={k: v for k, v in SPEC["receipt"].items() if k != "till"})
    assert receipt(spec, SALE, till="T9", total="99").till == "T9"
    assert receipt(spec, SALE, till="T9", total="99").total == 1250


@pytest.mark.parametrize(("value", "document", "expected"), [
    ("a.b", {"a": {"b": "x"}}, "x"),
    ("a[0].b", {"a": [{"b": "x"}, {"b": "y"}]}, "x"),
    ("a[-1].b", {"a": [{"b": "x"}, {"b": "y"}]}, "y"),
    ("a[k=2].b", {"a": [{"k": 1, "b": "x"}, {"k": 2, "b": "y"}]}, "y"),
    ('"a.b"', {"a.b": "x"}, "x"),
    ({"first": ["nil", "a"]}, {"a": "x"}, "x"),
    ({"path": "a", "table": {"1": "x"}}, {"a": 1}, "x"),
    ({"path": "a", "table": {"1": "y"}, "otherwise": "x"}, {"a": 2}, "x"),
    ({"path": "a", "table": {}, "otherwise": "x"}, {}, "x"),
    ({"path": "a", "match": "^0*([0-9]+)$"}, {"a": "0042"}, "42"),
    ({"path": "a", "drop": "- "}, {"a": "4-2 "}, "42"),
    ({"template": "{a}/{b.c}"}, {"a": 1, "b": {"c": "x"}}, "1/x"),
    ({"const": "x"}, {}, "x"),
])  # fmt: skip
def test_where_a_text_may_come_from(value, document, expected):
    assert receipt(receipt_with(cashier=value), SALE | document).cashier == expected


@pytest.mark.parametrize(
    "missing", ["a", {"template": "{a}-{no}"}, {"path": "no", "match": "(x)"}, "e"]
)
def test_what_is_not_there_is_left_out(missing):
    assert receipt(receipt_with(cashier=missing), SALE | {"e": " "}).cashier is None


@pytest.mark.parametrize(("value", "document"), [
    ({"path": "sum", "match": "^([0-9.,]+)"}, {"sum": "1.250,00 EUR"}),
    ({"add": ["cash", "cards.paid"]}, {"cash": "1.000,00", "cards": [{"paid": "200,00"}, {"paid": "50"}]}),
    ({"path": "sum", "minor": True}, {"sum": 125000}),
    ({"path": "sum", "negate": True}, {"sum": "-1250"}),
    ({"path": "sum", "absolute": True}, {"sum": "-1250"}),
    ("sum", {"sum": "1\u00a0250,00".replace("\u00a0", "")}),
])  # fmt: skip
def test_money_as_others_write_it(value, document):
    items = [{"sku": "A", "total": "1.250"}]
    spec = receipt_with(total=value) | {"decimal": ",", "group": "."}
    assert receipt(spec, SALE | {"items": items} | document).total == 125_000


@pytest.mark.parametrize(("at", "expected"), [
    ({"path": "at"}, "2026-11-28T18:30:00+02:00"),
    ({"path": "at", "zone": "UTC"}, "2026-11-28T18:30:00+00:00"),
    ({"path": "utc"}, "2026-11-28T18:30:00+02:00"),
])  # fmt: skip
def test_times_with_and_without_a_zone(at, expected):
    times = {"at": "2026-11-28T18:30:00", "utc": "2026-11-28T16:30:00Z"}
    assert receipt(receipt_with(ended_at=at), SALE | times).ended_at.isoformat() == expected


@pytest.mark.parametrize(("changes", "said"), [
    ({"sum": "a lot"}, r"\$\.total is not a decimal number"),
    ({"sum": "12.505"}, r"\$\.total is finer than"),
    ({"sum": [1, 2]}, r"\$\.total is there 2 times at sum"),
    ({"at": "2026-11-28"}, r"\$\.ended_at is not a time as %d/%m/%Y %H:%M has it"),
    ({"items": [{"sku": "A", "total": "x"}]}, r"\$\.lines\[0\]\.amount is not a decimal number"),
])  # fmt: skip
def test_a_value_that_cannot_be_read_names_its_field_and_never_itself(changes, said):
    (one,) = mapped(SPEC, SALE | changes)
    assert one.problem.reason == "wrong_type"
    with pytest.raises(InvalidTransaction, match=said):
        raise one.problem


def test_when_and_skip_and_sign():
    spec = spec_with(
        skip=[{"when": {"training": True}, "reason": "training"}],
        sign={"path": "way", "table": {"back": -1}, "otherwise": 1},
        lines=[
            {"each": "items", "when": {"sku": {"not": {"matches": "^X"}}}, "set": SPEC["lines"][0]["set"]
             | {"kind": {"path": "/way", "table": {"back": "return"}, "otherwise": "sale"}}},
        ],
    )  # fmt: skip
    items = [*SALE["items"], {"sku": "X1", "total": 5}]
    back, no_sale = mapped(
        spec, {"sales": [SALE | {"way": "back", "items": items}, SALE | {"training": True}]}
    )
    assert back.receipt.total == -1250
    assert [line.amount for line in back.receipt.lines] == [-1000, -250]
    assert no_sale.skipped == "training"


def test_what_a_mapping_does_not_look_at_is_told():
    raw = msgspec.json.encode(
        SALE | {"note": "x", "items": [*SALE["items"], {"sku": "C", "total": 0, "w": 1}]}
    )
    (one,) = Mapper(read(SPEC)).transactions(raw, PLACES.get, traced=True)
    assert one.unread == ("items.w", "note")


@pytest.mark.parametrize(("change", "where", "said"), [
    ({"receipt": {"total": {"path": "a", "const": 1}}}, ("receipt", "total"), "must say one of"),
    ({"receipt": {"totl": "a"}}, ("receipt", "totl"), "is no field here"),
    ({"receipt": {"total": "a..b"}}, ("receipt", "total"), "is no path"),
    ({"receipt": {"total": "a[x"}}, ("receipt", "total"), "is no path"),
    ({"receipt": {"total": {"path": "a", "match": "("}}}, ("receipt", "total", "match"), "no regular"),
    ({"receipt": {"total": {"path": "a", "match": "a"}}}, ("receipt", "total", "match"), "one group"),
    ({"receipt": {"ended_at": {"path": "a", "zone": "Mars/X"}}}, ("receipt", "ended_at", "zone"), "no IANA"),
    ({"receipt": {"total": {"path": "a", "fromat": "x"}}}, ("receipt", "total"), "unknown field"),
    ({"lines": [{"set": {}}]}, ("lines", 0), "missing required field `each`"),
    ({"lines": [{"each": "a", "set": {"amount": 1.5}}]}, ("lines", 0, "set", "amount"), "got `float`"),
    ({"tenders": [{"each": "a", "set": {}, "taxes": [{"each": "b", "set": {}}]}]},
     ("tenders", 0, "taxes"), "lines only"),
    ({"form": "text"}, ("patterns",), "must say"),
    ({"record": {}}, ("record",), "must name"),
    ({"form": "yaml"}, ("form",), "invalid enum value"),
])  # fmt: skip
def test_a_mapping_that_cannot_be_used_names_the_place(change, where, said):
    with pytest.raises(MappingProblem) as caught:
        Mapper(read(SPEC | change))
    assert caught.value.where == where
    assert said in caught.value.message


def test_every_field_of_the_contract_can_be_set_and_no_other():
    for kinds, struct in ((LINE, contract.ReceiptLine), (DISCOUNT, contract.Discount), (TAX, contract.Tax),
                          (TENDER, contract.Tender), (LOYALTY, contract.Loyalty),
                          (RECEIPT, contract.RetailTransaction)):  # fmt: skip
        parts = {"discounts", "taxes", "back", "lines", "tenders", "loyalty", "schema"}
        names = {name for name in kinds if "." not in name}
        assert names == {field.name for field in msgspec.structs.fields(struct)} - parts
    back = {name.removeprefix("back.") for name in LINE if name.startswith("back.")}
    assert back == {field.name for field in msgspec.structs.fields(contract.Back)}


def test_xml_is_read_by_local_names_with_attributes_and_repeats():
    raw = b'<a:R xmlns:a="u"><x k="1">t</x><x>s</x><y><z/></y></a:R>'
    assert trees.xml_tree(raw) == {"R": {"x": [{"@k": "1", "$": "t"}, "s"], "y": {"z": ""}}}


@pytest.mark.parametrize("raw", [b"", b"<a>", b"<a></b>", b"\xff", b"<a>&x;</a>", b"<a>" * 200,
                                 b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
                                 b'<?xml version="1.0" encoding="no-such"?><a/>'])  # fmt: skip
def test_xml_that_is_none_or_dangerous_is_refused(raw):
    with pytest.raises(InvalidTransaction, match="not_xml"):
        trees.xml_tree(raw)


def test_rows_of_one_receipt_are_one_document():
    raw = "no;item\n1;A\n1;B\n2;C\n".encode("utf-8-sig")
    found = list(trees.csv_groups(raw, ";", "utf-8", ["no"]))
    assert found == [{"rows": [{"no": "1", "item": "A"}, {"no": "1", "item": "B"}]},
                     {"rows": [{"no": "2", "item": "C"}]}]  # fmt: skip


@pytest.mark.parametrize(
    "raw", [b"no;item\n1;A;x\n", b"no;item\n1\n", b"number;item\n1;A\n", b'no;item\n"1;A\n']
)
def test_rows_that_are_not_like_the_header_are_refused(raw):
    with pytest.raises(InvalidTransaction, match="not_csv"):
        list(trees.csv_groups(raw, ";", "utf-8", ["no"]))


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False)
)


@given(st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4)
                    | st.dictionaries(st.sampled_from(list(SALE)), inner)))  # fmt: skip
def test_whatever_comes_is_a_receipt_or_a_refusal(document):
    raw = msgspec.json.encode(document)
    for one in mapped(SPEC, raw):
        assert (one.receipt is None) is (one.problem is not None)


@given(st.binary(max_size=60), st.sampled_from(["json", "xml", "csv", "text"]))
def test_bytes_of_any_kind_are_read_or_refused(raw, form):
    patterns = [{"name": "line", "pattern": "(?P<a>.*)"}]
    mapper = Mapper(read(SPEC | {"form": form, "patterns": patterns, "group_by": ["no"]}))
    with suppress(InvalidTransaction):
        list(mapper.transactions(raw, PLACES.get))


def test_paths_step_through_lists_and_from_where_they_say():
    document = {"a": [{"b": [1, 2]}, {"b": 3}, {"b": None}, 4]}
    scope = Scope({"b": 9}, document, {"c": document})
    assert Path("b").all(scope) == [9]
    assert Path("/a.b").all(scope) == [1, 2, 3]
    assert Path("//c.a.b").all(scope) == [1, 2, 3]
    assert Path(".").all(scope.at(Decimal(5))) == [5]
