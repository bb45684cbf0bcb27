"""A mapping is data: what it finds, what it refuses, and that a wrong one names its place."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.domain.mapping import rows, trees
from tillstream.domain.mapping.fields import DISCOUNT, LINE, LOYALTY, RECEIPT, TAX, TENDER
from tillstream.domain.mapping.known import Known
from tillstream.domain.mapping.mapper import Mapper
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
        (again,) = mapped(SPEC, one.raw())
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
    ({"path": "at", "zone": "UTC"}, "2026-11-28T20:30:00+02:00"),
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
    assert one.unread == {"items.w": 1, "note": 1}


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
        parts = {"discounts", "taxes", "back", "lines", "tenders", "loyalty", "schema", "source"}
        names = {name for name in kinds if "." not in name and name != "gross"}
        assert names == {field.name for field in msgspec.structs.fields(struct)} - parts
    back = {name.removeprefix("back.") for name in LINE if name.startswith("back.")}
    assert back == {field.name for field in msgspec.structs.fields(contract.Back)}


def test_xml_is_read_by_local_names_with_attributes_and_repeats():
    raw = b'<a:R xmlns:a="u"><x k="1">t</x><x>s</x><y><z/></y></a:R>'
    inside = {"x": [{"@k": "1", "$": "t"}, "s"], "y": {"z": ""}, "@xmlns": ["u"]}
    assert trees.xml_tree(raw) == {"R": inside}


@pytest.mark.parametrize("raw", [b"", b"<a>", b"<a></b>", b"\xff", b"<a>&x;</a>", b"<a>" * 200,
                                 b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
                                 b'<?xml version="1.0" encoding="no-such"?><a/>'])  # fmt: skip
def test_xml_that_is_none_or_dangerous_is_refused(raw):
    with pytest.raises(InvalidTransaction, match="not_xml"):
        trees.xml_tree(raw)


def test_rows_of_one_receipt_are_one_document_wherever_they_are():
    raw = "no;item\n1;A\n2;C\n1;B\n".encode("utf-8-sig")
    found = list(rows.csv_groups(raw, ";", "utf-8", ["no"]))
    assert found == [{"rows": [{"no": "1", "item": "A"}, {"no": "1", "item": "B"}]},
                     {"rows": [{"no": "2", "item": "C"}]}]  # fmt: skip


@pytest.mark.parametrize("raw", [b"number;item\n1;A\n", b"no;no\n1;2\n", b""])
def test_a_file_without_the_columns_it_is_grouped_by_is_refused(raw):
    with pytest.raises(InvalidTransaction, match="not_csv"):
        list(rows.csv_groups(raw, ";", "utf-8", ["no"]))


CSV = SPEC | {
    "form": "csv", "delimiter": ";", "group_by": ["no"], "record": {"rows.no": "present"}, "records": [],
    "receipt": {"transaction_id": {"template": "{rows[0].no}"}, "store": {"const": "S1"},
                "till": {"const": "1"}, "ended_at": {"const": "2026-11-28T18:30:00"},
                "currency": {"const": "ZAR"}, "total": {"computed": True}},
    "lines": [{"each": "rows", "set": {"kind": {"const": "sale"}, "code": "item", "amount": "price"}}],
}  # fmt: skip


@pytest.mark.parametrize("wrong", [b"2;B", b"2;B;5;x", b"2;\xff;5", b";;TOTAL", b"2;B;five"])
def test_a_row_that_cannot_be_used_takes_no_other_with_it(wrong):
    found = mapped(CSV, b"no;item;price\n1;A;5\n" + wrong + b"\n3;C;5\n")
    good = {one.receipt.transaction_id for one in found if one.receipt}
    assert (good, sum(one.problem is not None for one in found)) == ({"1", "3"}, 1)


NOTES = [b'"ok \\ud83d"', b'"a", "note": "b"', b"NaN", b"9" * 5000, b"[" * 90 + b"]" * 90]


@pytest.mark.parametrize("note", NOTES, ids=range(len(NOTES)))
def test_what_is_wrong_in_one_record_of_a_document_takes_no_other_with_it(note):
    good = msgspec.json.encode(SALE)
    bad = msgspec.json.encode(SALE | {"no": 8})[:-1] + b', "note": ' + note + b"}"
    found = mapped(SPEC, b'{"sales": [' + bad + b", " + good + b"]}")
    assert [one.receipt.transaction_id for one in found if one.receipt][-1] == "S1-7"
    for one in found:
        assert one.raw()


LONG = ["1e999999999", "1e-999999999", '"' + "9" * 100_000 + 'x"', '"1_000"', '"\u0663"', '"--1"']


@pytest.mark.parametrize("number", LONG, ids=range(len(LONG)))
@pytest.mark.parametrize("field", ["sum", "count", "each"])
def test_no_number_takes_long_or_all_memory(field, number):
    price = {"path": "/each", "absolute": True}
    line = SPEC["lines"][0] | {"set": SPEC["lines"][0]["set"] | {"price": price}}
    spec = receipt_with(sequence="count") | {"lines": [line]}
    raw = msgspec.json.encode(SALE | {field: "N"}).replace(b'"N"', number.encode())
    (one,) = mapped(spec, raw)
    assert one.problem.reason == "wrong_type"


@pytest.mark.parametrize(("decimal", "group", "text"), [
    (",", "", "1.250"), (",", ".", "12.50"), (".", ",", "12,50"), (",", ".", "1.2.3,4"), (".", "", "1,250"),
])  # fmt: skip
def test_a_number_written_otherwise_than_the_mapping_says_is_none(decimal, group, text):
    (one,) = mapped(SPEC | {"decimal": decimal, "group": group}, SALE | {"sum": text})
    assert one.problem.reason == "wrong_type"


TIMES = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-11-28", "2026-W48-6T10"]


@pytest.mark.parametrize("at", TIMES)
def test_a_time_that_is_none_is_refused(at):
    (one,) = mapped(receipt_with(ended_at="at"), SALE | {"at": at})
    assert one.problem.reason in ("wrong_type", "out_of_range")


def test_a_digest_is_of_what_a_record_says_and_of_what_is_said_beside_it():
    spec = receipt_with(transaction_id={"digest": 32})
    spec["receipt"].pop("till")
    alone = msgspec.json.encode(SALE)
    spaced = msgspec.json.format(alone) + b"\n"
    batch = msgspec.json.encode({"sales": [SALE, SALE | {"no": 8}]})
    ids = [mapped(spec, raw, till="T1")[0].receipt.transaction_id for raw in (alone, spaced, batch)]
    assert len(set(ids)) == 1
    assert mapped(spec, alone, till="T2")[0].receipt.transaction_id not in ids


def test_money_of_another_currency_has_that_currencys_decimals():
    paid = {
        "kind": {"const": "cash"},
        "amount": "/sum",
        "foreign_currency": "cur",
        "foreign_amount": "paid",
    }
    spec = spec_with(tenders=[{"each": ".", "set": paid}])
    (tender,) = receipt(spec, SALE | {"cur": "JPY", "paid": "140"}).tenders
    assert (tender.foreign_amount, tender.foreign_currency) == (140, "JPY")


@pytest.mark.parametrize("name", ["x" * 90, "a\nb\0c", "Crème 100 g"])
def test_no_name_is_a_reason_to_refuse_a_basket(name):
    items = [{"sku": name, "total": 10}, {"sku": name + "!", "total": 2.5}]
    made = receipt(SPEC, SALE | {"items": items})
    assert len({line.code for line in made.lines}) == 2


ENDLESS = [
    "((?:[0-9]+ ?)+)X", "(a*)*", "((?:a|a)*)b", "((?:a|ab?)*)c", "(?i)((?:ab|AC)*)b", r"((?:\w\w|x)*)y",
    "((?:a{1,30}){1,30})b", "((?:|a)*)b", "((a|b+)*)c", "([[a]&&])", "(" * 300 + "a" + ")" * 300,
]  # fmt: skip


@pytest.mark.parametrize("pattern", ENDLESS, ids=range(len(ENDLESS)))
def test_a_pattern_that_could_run_for_years_is_refused(pattern):
    with pytest.raises(MappingProblem):
        Mapper(read(receipt_with(cashier={"path": "a", "match": pattern})))


@pytest.mark.parametrize(("change", "where"), [
    ({"encoding": "klingon"}, ("encoding",)), ({"encoding": "rot13"}, ("encoding",)),
    ({"encoding": "utf-8\0"}, ("encoding",)), ({"decimal": ",", "group": ","}, ("group",)),
    ({"form": "text", "patterns": [{"name": "a", "pattern": "(?P<x>b)", "of": "c"}]}, ("patterns", 0, "of")),
    ({"receipt": SPEC["receipt"] | {"ended_at": {"path": "a", "format": "%d.%m.%Y%Y"}}},
     ("receipt", "ended_at", "format")),
    ({"record": {"a": {"not": {"foo": 1}}}}, ("record", "a")),
])  # fmt: skip
def test_what_would_fail_at_the_first_record_is_told_when_the_mapping_is_read(change, where):
    with pytest.raises(MappingProblem) as caught:
        Mapper(read(SPEC | change))
    assert caught.value.where == where


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


@pytest.mark.parametrize(("value", "document", "expected"), [
    ({"path": "a", "slug": True}, {"a": "Till  no. 4"}, "Till-no-4"),
    ({"path": "a", "hash": 12}, {"a": "jo@shop.example"}, "e97b714bb09f"),
    ({"first": [{"path": "a", "when": {"b": "yes"}}, "c"]}, {"a": "x", "b": "no", "c": "y"}, "y"),
    ({"first": [{"path": "a", "when": {"b": "yes"}}, "c"]}, {"a": "x", "b": "yes", "c": "y"}, "x"),
    ("a.*.b", {"a": {"q": {"b": "x"}, "r": {}}}, "x"),
    ("a[k!=1].b", {"a": [{"k": 1, "b": "x"}, {"k": 2, "b": "y"}]}, "y"),
])  # fmt: skip
def test_more_of_where_a_text_may_come_from(value, document, expected):
    assert receipt(receipt_with(cashier=value), SALE | document).cashier == expected


@pytest.mark.parametrize(("total", "document"), [
    ({"first": [{"path": "cents", "minor": True}, "sum"]}, {"cents": 1250}),
    ({"first": [{"path": "nil", "minor": True}, "sum"]}, {"sum": "12.50"}),
    ({"add": [{"path": "gross", "drop": "$"}, {"path": "off", "negate": True}, 1]},
     {"gross": "$13.50", "off": [1, "1.00"]}),
    ({"path": "each", "times": "pieces"}, {"each": "2.5", "pieces": 5}),
    ({"path": "each", "times": 5}, {"each": "2.5"}),
    ({"path": "fine", "round": True}, {"fine": "12.495"}),
    ({"path": "fine", "round": True}, {"fine": 12.504999999}),
    ({"path": "sum", "negate": True}, {"sum": "12.50-"}),
    ({"path": "sum", "negate": True}, {"sum": "(12.50)"}),
    ({"computed": True}, {"sum": "99"}),
])  # fmt: skip
def test_more_of_money_as_others_write_it(total, document):
    assert receipt(receipt_with(total=total), SALE | document).total == 1250


def test_a_total_finer_than_the_cent_is_refused_unless_rounding_is_written():
    (one,) = mapped(SPEC, SALE | {"sum": "12.495"})
    assert one.problem.reason == "wrong_type"


@pytest.mark.parametrize(("missing", "reason"), [(5, None), (-5, None), (6, "lines_total")])
def test_what_is_left_to_the_total_is_rounding_up_to_a_limit(missing, reason):
    spec = receipt_with(rounding={"remainder": 5})
    (one,) = mapped(spec, SALE | {"sum": f"{12.5 + missing / 100:.2f}"})
    assert (one.problem.reason if one.problem else None) == reason
    assert one.receipt is None or one.receipt.rounding == missing


def test_a_gross_amount_is_before_the_lines_own_discounts():
    line = {"each": "items", "set": {"kind": {"const": "sale"}, "gross": "total"},
            "discounts": [{"each": "off", "set": {"kind": {"const": "staff"}, "amount": "."}}]}  # fmt: skip
    items = [{"total": 10, "off": [1, "0.5"]}, {"total": 4}]
    made = receipt(spec_with(lines=[line]), SALE | {"items": items})
    assert [one.amount for one in made.lines] == [850, 400]
    assert sum(off.amount for off in made.lines[0].discounts) == 150


def test_records_may_be_in_several_places():
    spec = spec_with(records=["sales", "returns.list"])
    found = mapped(spec, {"sales": [SALE], "returns": {"list": [SALE | {"no": 9}]}})
    assert [one.receipt.transaction_id for one in found] == ["S1-7", "S1-9"]


def test_bytes_of_one_record_keep_what_stands_beside_it():
    spec = receipt_with(till="//till") | {"record": {"//till": "T5"}}
    found = mapped(spec, {"till": "T5", "sales": [SALE, SALE | {"no": 8}]})
    assert [one.receipt.till for one in found] == ["T5", "T5"]
    (again,) = mapped(spec, found[1].raw())
    assert again.receipt == found[1].receipt


@pytest.mark.parametrize(("test", "value", "holds"), [
    ("zero", "0.00", True), ("zero", None, True), ("zero", "0.01", False), ("nonzero", "-0.01", True),
    ("nonzero", None, False), ("nonzero", "0", False), ("negative", "1.5-", True), ("negative", "-0", False),
    ("positive", "1.5", True), ("absent", None, True), ("absent", " ", True), ("present", 0, True),
    ({"not": "x"}, None, True), ({"all": ["present", {"not": "x"}]}, None, False),
    ({"all": ["present", {"not": "x"}]}, "y", True), (["x", "y"], "y", True), (True, True, True),
])  # fmt: skip
def test_conditions(test, value, holds):
    line = SPEC["lines"][0] | {"when": {"flag": test}}
    first = SALE["items"][0] | {"flag": value}
    draft = mapped(spec_with(lines=[line]), SALE | {"items": [first]})[0].draft
    assert ("lines" in draft) is holds


@pytest.mark.parametrize(("value", "where", "said"), [
    ({"path": "a", "minor": True}, ("receipt", "cashier", "minor"), "no meaning for a text"),
    ({"path": "a", "format": "%Y"}, ("receipt", "cashier", "format"), "no meaning for a text"),
    ({"first": ["a"], "drop": "x"}, ("receipt", "cashier", "drop"), "goes into each of `first`"),
    ({"path": "a", "otherwise": "x"}, ("receipt", "cashier", "otherwise"), "belongs to a table"),
    ({"computed": True}, ("receipt", "cashier"), "only a total is computed"),
])  # fmt: skip
def test_words_that_a_value_would_not_heed_are_refused(value, where, said):
    with pytest.raises(MappingProblem) as caught:
        Mapper(read(receipt_with(cashier=value)))
    assert caught.value.where == where
    assert said in caught.value.message


def test_what_no_rule_takes_and_what_no_pattern_matches_is_told():
    rule = SPEC["lines"][0] | {"when": {"kind": "A"}}
    items = [
        {"sku": "A", "kind": "A", "total": "12.50"},
        {"sku": "B", "kind": {"of": "B"}, "total": 1},
    ]
    raw = msgspec.json.encode(SALE | {"items": items})
    (one,) = Mapper(read(spec_with(lines=[rule]))).transactions(raw, PLACES.get, traced=True)
    assert one.unread["items: no rule takes kind"] == 1
    (text,) = trees.text_trees(b"a\nb\n\nc", "utf-8", [
        trees.Pattern("x", trees.compiled("(?P<l>[ac])", ()), after="y"),
        trees.Pattern("y", trees.compiled("(?P<l>b)", ()), until="y")])  # fmt: skip
    assert text == {"other lines": [{"text": "a"}], "y": [{"l": "b"}], "x": [{"l": "c"}]}


def test_paths_step_through_lists_and_from_where_they_say():
    document = {"a": [{"b": [1, 2]}, {"b": 3}, {"b": None}, 4]}
    scope = Scope({"b": 9}, document, {"c": document})
    assert Path("b").all(scope) == [9]
    assert Path("/a.b").all(scope) == [1, 2, 3]
    assert Path("//c.a.b").all(scope) == [1, 2, 3]
    assert Path(".").all(scope.at(Decimal(5))) == [5]


BY_ROWS: dict[str, Any] = {
    "mapping": "rows", "version": 1, "about": "a till that sends rows", "form": "csv", "group_by": ["no"],
    "records": "rows", "record": {"no": "present"},
    "receipt": {"transaction_id": "no", "store": {"const": "S1"}, "till": {"const": "1"},
                "total": {"computed": True}},
    "lines": [],
}  # fmt: skip


def test_a_file_that_is_known_is_parsed_once(monkeypatch):
    parsed = []
    real = rows.csv_groups
    monkeypatch.setattr(rows, "csv_groups", lambda *how: parsed.append(1) or real(*how))
    raw = b"no,price\n1,5\n"
    mapper, documents = Known([Mapper(read(BY_ROWS))]).of(raw)
    assert len(list(mapper.transactions(raw, PLACES.get, documents=documents))) == 1
    assert parsed == [1]
