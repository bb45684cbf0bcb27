"""What a mapping makes of single values, and of what it is not sure of: nothing silently."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest

from tests.domain.mapping.test_mapper import (
    PLACES,
    SALE,
    SPEC,
    mapped,
    receipt,
    receipt_with,
    spec_with,
)
from tillstream.domain.mapping.mapper import Mapper
from tillstream.domain.mapping.spec import MappingProblem, read
from tillstream.domain.receipt.front_door import StorePlace, of_contract

WARSAW = StorePlace(1, "Europe/Warsaw", "PLN", "PL", "mazowieckie")


def lines_with(*rules: dict[str, Any], **changes: Any) -> dict[str, Any]:
    base = SPEC["lines"][0]
    lines = [base | rule | {"set": base["set"] | rule.get("set", {})} for rule in rules]
    return spec_with(lines=lines) | changes


def refused(spec: dict[str, Any], document: Any) -> str:
    (one,) = mapped(spec, document)
    assert one.problem, one.receipt
    return str(one.problem)


# ---- conditions


@pytest.mark.parametrize(("test", "value", "holds"), [
    ("positive", "1.012,50", True), ("negative", "1.012,50", False), ("negative", "-1.012,50", True),
    ("negative", "(2,00)", True), ("negative", "1.012,50-", True), ("zero", "0,00", True),
    ("nonzero", "1.000", True), ("positive", 2.5, True), ("negative", -1, True), ("zero", 0, True),
])  # fmt: skip
def test_a_rule_compares_numbers_as_they_are_written_in_the_file(test, value, holds):
    spec = lines_with({"when": {"flag": test}}, decimal=",", group=".")
    items = [{"sku": "A", "total": "1", "flag": value}]
    assert ("lines" in mapped(spec, SALE | {"items": items, "sum": "12,50"})[0].draft) is holds


@pytest.mark.parametrize("test", ["zero", "nonzero", "negative", "positive", {"not": "negative"}])
@pytest.mark.parametrize("value", ["1,012.50", "12..5", "free", "-2-", {"of": "A"}])
def test_a_line_that_is_chosen_by_what_is_no_number_is_never_left_out_silently(test, value):
    items = [{"sku": "A", "total": "12.50"}, {"sku": "B", "total": 0, "flag": value}]
    said = refused(lines_with({"when": {"flag": test}}), SALE | {"items": items})
    assert said.startswith("wrong_type: $.lines[1] is chosen by flag, which is")
    assert "012" not in said


def test_a_value_and_a_record_to_skip_are_not_chosen_by_what_is_no_number():
    chosen = {"first": [{"path": "no", "when": {"x": "positive"}}, "no"]}
    assert "$.cashier is chosen by x" in refused(receipt_with(cashier=chosen), SALE | {"x": "?"})
    skips = spec_with(skip=[{"when": {"sum": "zero"}, "reason": "empty"}])
    assert "$ is chosen by sum" in refused(skips, SALE | {"sum": "none"})


def test_a_format_is_not_known_by_what_cannot_be_compared():
    mapper = Mapper(read(spec_with(record={"sum": "positive"})))
    assert mapper.documents(b'{"sum":"many"}') == []
    assert mapper.why_unknown(b'{"sum":"many"}') == "sum: positive"


# ---- sums


@pytest.mark.parametrize(("part", "total"), [
    ({"path": "fee", "when": {"k": "S"}}, 1250),
    ({"path": "fee", "when": {"k": {"not": "S"}}}, 1000),
    ({"path": "fees", "times": "pieces"}, 2200),
    ({"path": "fees", "times": "pieces", "negate": True, "when": {"k": "S"}}, -200),
    ({"path": "nothing", "times": "no-pieces"}, 1000),
    ({"path": "fees", "times": "third", "round": True}, 1198),
])  # fmt: skip
def test_a_part_of_a_sum_begins_at_the_element_at_hand(part, total):
    line = {"sku": "A", "a": "10", "fee": "2.50", "k": "S", "fees": [1, 2], "pieces": 4,
            "third": "0.66"}  # fmt: skip
    spec = lines_with(
        {"set": {"amount": {"add": ["a", part]}, "kind": {"const": "fee"}}},
        receipt=SPEC["receipt"] | {"total": {"computed": True}},
    )
    assert receipt(spec, SALE | {"items": [line]}).total == total


def test_cents_are_said_of_the_sum_not_of_a_part_of_it():
    with pytest.raises(MappingProblem) as caught:
        Mapper(read(receipt_with(total={"add": [{"path": "a", "minor": True}]})))
    assert caught.value.where == ("receipt", "total", "add", 0, "minor")


# ---- numbers


@pytest.mark.parametrize(
    "text", ["(-2.00)", "-3.00-", "(3.00-)", "(3.00)-", "+1-", "((2.00))", "--2"]
)
def test_a_number_with_two_signs_is_refused(text):
    assert "is not a decimal number" in refused(SPEC, SALE | {"sum": text})


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u202f", "\u2009"])
def test_any_blank_may_stand_between_thousands(blank):
    items = [{"sku": "A", "total": "1250"}]
    spec = spec_with(group=" ")
    assert receipt(spec, SALE | {"sum": f"1{blank}250.00", "items": items}).total == 125_000


# ---- times


def at(value: Any, document: dict[str, Any], place: StorePlace = PLACES["S1"]) -> str:
    spec = receipt_with(ended_at=value)
    raw = msgspec.json.encode(SALE | document)
    (one,) = Mapper(read(spec)).transactions(raw, lambda _: place)
    assert one.receipt, one.problem
    return one.receipt.ended_at.isoformat()


@pytest.mark.parametrize(("value", "found", "expected"), [
    ({"path": "t", "format": "epoch"}, 1795883400, "2026-11-28T18:30:00+02:00"),
    ({"path": "t", "format": "epoch"}, "1795883400.250", "2026-11-28T18:30:00.250000+02:00"),
    ({"path": "t", "format": "epoch_ms"}, 1795883400250, "2026-11-28T18:30:00.250000+02:00"),
    ({"path": "t", "format": "epoch", "zone": "store"}, 1795890600, "2026-11-28T18:30:00+02:00"),
    ({"path": "t", "format": "%Y-%m-%dT%H:%M:%S %z"}, "2026-11-28T17:30:00 +01:00",
     "2026-11-28T18:30:00+02:00"),
    ({"path": "t", "format": "%d.%m.%Y %I:%M %p"}, "28.11.2026 06:30 PM", "2026-11-28T18:30:00+02:00"),
    ("t", "20261128T163000Z", "2026-11-28T18:30:00+02:00"),
    ("t", "20261128T1830", "2026-11-28T18:30:00+02:00"),
    ({"template": "{t} 00:00"}, "2026-11-28", "2026-11-28T00:00:00+02:00"),
])  # fmt: skip
def test_times_as_other_makers_write_them(value, found, expected):
    assert at(value, {"t": found}) == expected


@pytest.mark.parametrize(("form", "said"), [
    ("%d.%m.%Y", "must have an hour"), ("%d.%m.%Y %I:%M", "%p beside %I"), ("%d.%m. %H:%M", "a year"),
    ("%Y-%m-%d %H:%M %Z", "names of zones"), ("%Y-%m-%d %H:%M %Q", "no format"),
])  # fmt: skip
def test_a_format_that_loses_a_part_of_a_time_is_refused_with_the_reason(form, said):
    with pytest.raises(MappingProblem) as caught:
        Mapper(read(receipt_with(ended_at={"path": "at", "format": form})))
    assert said in caught.value.message
    assert caught.value.where == ("receipt", "ended_at", "format")


def test_a_business_day_has_no_hour_and_no_seconds_since_1970():
    day = {"path": "d", "format": "%d.%m.%Y"}
    assert (
        str(receipt(receipt_with(business_day=day), SALE | {"d": "28.11.2026"}).business_day)
        == "2026-11-28"
    )
    with pytest.raises(MappingProblem, match="a day has no seconds"):
        Mapper(read(receipt_with(business_day=day | {"format": "epoch"})))


@pytest.mark.parametrize("found", ["1e9", "-1", "soon", "9" * 15, "1795883400,5"])
def test_what_counts_no_seconds_is_no_time(found):
    spec = receipt_with(ended_at={"path": "t", "format": "epoch"})
    assert "is not a time as epoch has it" in refused(spec, SALE | {"t": found})


def test_a_date_alone_is_told_to_be_one():
    spec = receipt_with(ended_at="t")
    assert "is a date without a time" in refused(spec, SALE | {"t": "2026-11-28"})


@pytest.mark.parametrize(("began", "ended", "expected"), [
    ("02:55", "02:05", ("02:55:00+02:00", "02:05:00+01:00")),  # clocks were set back in between
    ("02:05", "02:10", ("02:05:00+02:00", "02:10:00+02:00")),  # the first of two, where both would do
    ("02:55", "03:05", ("02:55:00+02:00", "03:05:00+01:00")),
])  # fmt: skip
def test_of_the_hour_that_comes_twice_the_one_counts_in_which_a_sale_ends_after_it_began(
    began, ended, expected
):
    form = {"format": "%Y-%m-%d %H:%M"}
    spec = receipt_with(began_at={"path": "b"} | form, ended_at={"path": "e"} | form)
    raw = msgspec.json.encode(SALE | {"b": f"2024-10-27 {began}", "e": f"2024-10-27 {ended}"})
    (one,) = Mapper(read(spec)).transactions(raw, lambda _: WARSAW)
    assert one.receipt, one.problem
    assert one.receipt.began_at
    assert (
        one.receipt.began_at.isoformat()[11:],
        one.receipt.ended_at.isoformat()[11:],
    ) == expected


def test_a_sale_that_ends_before_it_began_is_told_so():
    spec = receipt_with(began_at="b", ended_at="e")
    times = {"b": "2026-11-28T18:30:00", "e": "2026-11-28T18:00:00"}
    assert refused(spec, SALE | times) == "out_of_range: $.began_at must not be after $.ended_at"
    days = {"b": "2026-11-25T18:30:00", "e": "2026-11-28T18:00:00"}
    assert "at most two days" in refused(spec, SALE | days)


def test_an_hour_that_the_clocks_skip_is_as_if_they_had_not_been_set_forward():
    found = at({"path": "t", "format": "%Y-%m-%d %H:%M"}, {"t": "2024-03-31 02:30"}, WARSAW)
    assert found == "2024-03-31T03:30:00+02:00"


# ---- what is not there


XML = SPEC | {"form": "xml", "records": "day.sale", "record": {"no": "present"},
              "receipt": SPEC["receipt"] | {"cashier": {"first": ["who", "till"]}}}  # fmt: skip


@pytest.mark.parametrize("who", [
    '<who xsi:nil="true"/>', '<who kind="code"></who>', '<who/>', '<who kind="code"> </who>',
    '<who/><who kind="code"/>',
])  # fmt: skip
def test_an_element_with_nothing_but_attributes_is_not_there(who):
    raw = f"""<day xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><sale><no>7</no><shop>S1</shop>
        <at>28/11/2026 18:30</at><sum>5</sum>{who}<till>T9</till>
        <items><sku>A</sku><total>5</total></items></sale></day>"""
    assert receipt(XML, raw.encode()).cashier == "T9"


@pytest.mark.parametrize(("element", "there"), [
    ('<void reason="x"/>', True), ('<void xsi:nil="true"/>', False), ("<void/>", False), ("", False),
])  # fmt: skip
def test_attributes_alone_are_present_but_nil_is_absent(element, there):
    raw = f"""<day xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><sale><no>7</no><shop>S1</shop>
        <at>28/11/2026 18:30</at><sum>5</sum>{element}
        <items><sku>A</sku><total>5</total></items></sale></day>"""
    spec = XML | {"skip": [{"when": {"void": "present"}, "reason": "voided"}]}
    (one,) = mapped(spec, raw.encode())
    assert (one.skipped == "voided") is there


# ---- ids and stores


@pytest.mark.parametrize("till", ["Kasse 1", "Überweg", "x" * 65, "#4"])
def test_an_id_that_is_none_names_what_makes_one(till):
    spec = receipt_with(till="till")
    said = refused(spec, SALE | {"till": till})
    assert said.startswith("bad_format: $.till is not an id: ")
    assert "`slug: true`" in said
    assert till not in said
    assert receipt(receipt_with(till={"path": "till", "slug": True}), SALE | {"till": till}).till


def test_a_store_that_is_not_in_the_table_is_shown_to_who_tries_a_file():
    (one,) = mapped(SPEC, SALE | {"shop": "S2"})
    assert one.problem.reason == "unknown_store"
    assert one.draft["store"] == "S2"
    assert "S2" not in str(one.problem)


# ---- keys that are values


def test_a_value_that_is_a_name_in_the_file_can_be_taken():
    tax = {"each": "vat.entries()", "set": {"code": "key", "rate": "key", "amount": "value"}}
    made = receipt(spec_with(taxes=[tax]), SALE | {"vat": {"12.0": "0.50", "25.0": "1"}})
    assert [(tax.code, str(tax.rate), tax.amount) for tax in made.taxes] == [
        ("12.0", "12.0", 50),
        ("25.0", "25.0", 100),
    ]


# ---- tax by its letter

BY_LETTER = lines_with(
    {"set": {"correction": {"path": "back", "otherwise": False, "table": {"y": True}}},
     "taxes": [{"each": ".", "when": {"tax": "present"}, "set": {"code": "tax"}}]},
    taxes=[{"each": "vat", "set": {"code": "code", "rate": "rate", "amount": "sum"}}],
)  # fmt: skip


def taxes_of(items: list[dict[str, Any]], vat: list[dict[str, Any]]) -> list[int]:
    total = sum(round(float(item["total"]) * 100) for item in items) / 100
    made = receipt(BY_LETTER, SALE | {"items": items, "vat": vat, "sum": f"{total:.2f}"})
    return [line.tax for line in of_contract(made, PLACES["S1"], "x").lines]


def test_a_line_bears_the_tax_of_its_letter_and_of_no_other():
    items = [{"sku": "glass", "total": "5.99", "tax": "A"}, {"sku": "bread", "total": "4.28", "tax": "D"},
             {"sku": "beer", "total": "23.92", "tax": "A"}]  # fmt: skip
    vat = [{"code": "A", "rate": 23, "sum": "5.59"}, {"code": "D", "rate": 0, "sum": 0}]
    assert taxes_of(items, vat) == [112, 0, 447]


def test_what_was_taken_back_bears_none_and_no_cent_is_lost():
    items = [{"sku": "A", "total": "10", "tax": "A"}, {"sku": "B", "total": "3.33", "tax": "A"},
             {"sku": "A", "total": "-10", "tax": "A", "back": "y"},
             {"sku": "C", "total": "3.33", "tax": "A"}]  # fmt: skip
    assert taxes_of(items, [{"code": "A", "rate": 15, "sum": "0.87"}]) == [130, 44, -130, 43]


def test_without_a_rate_it_is_shared_by_amount():
    items = [{"sku": "A", "total": "10", "tax": "A"}, {"sku": "B", "total": "5", "tax": "A"}]
    assert taxes_of(items, [{"code": "A", "sum": "1"}]) == [67, 33]


def test_a_letter_that_the_receipt_does_not_list_is_left_out():
    made = receipt(BY_LETTER, SALE | {"items": [{"sku": "A", "total": "12.50", "tax": "Z"}]})
    assert made.lines[0].taxes == ()


def test_a_tax_of_a_line_whose_amount_was_to_be_found_is_not_made_up():
    rule = {"taxes": [{"each": ".", "set": {"code": {"const": "A"}, "amount": "nowhere"}}]}
    assert "missing_field" in refused(lines_with(rule), SALE)


@pytest.mark.parametrize("rate", ["-100", "1e39", "0"])
def test_no_rate_is_a_reason_to_stop(rate):
    items = [{"sku": "A", "total": "12.50", "tax": "A"}]
    (one,) = mapped(
        BY_LETTER, SALE | {"items": items, "vat": [{"code": "A", "rate": rate, "sum": 1}]}
    )
    assert one.problem is None or one.problem.reason


# ---- what is looked at nowhere


def unread(spec: dict[str, Any], document: Any) -> dict[str, int]:
    raw = msgspec.json.encode(document)
    (one,) = Mapper(read(spec)).transactions(raw, PLACES.get, traced=True)
    return dict(one.unread)


def test_which_element_no_rule_takes_is_told():
    items = [{"sku": "A", "total": "12.50"}, {"sku": "B", "total": "1", "k": "x"}]
    assert unread(lines_with({"when": {"k": "absent"}}), SALE | {"items": items}) == {
        "items[1]: no rule takes it": 1
    }


def test_a_part_of_the_header_that_a_rule_does_not_take_is_not_forgotten():
    rule = {
        "each": "sums",
        "when": {"tax": "nonzero"},
        "set": {"code": {"const": "a"}, "amount": "tax"},
    }
    spec = receipt_with(total="sums.all") | {"taxes": [rule]}
    assert unread(spec, SALE | {"sums": {"all": "12.50", "tax": 0, "of": {"x": 0}}}) == {"sum": 1}


@pytest.mark.parametrize(
    "pattern", ["((?:ab|cd)*)e", "((?:[0-9]x|[a-f]y)*)z", "((?:a|b)*)c", "(a{1,3}){1,3}"]
)
def test_a_pattern_whose_alternatives_differ_from_the_first_sign_on_is_taken(pattern):
    Mapper(read(receipt_with(cashier={"path": "a", "match": pattern})))


# ---- a document in a field


IN_XML = spec_with(
    records="days.sales",
    record={"id": "present"},
    receipt=SPEC["receipt"] | {"total": "payload.check.sum", "transaction_id": "id"},
    lines=[SPEC["lines"][0] | {"each": "payload.check.row"}],
    inside=[{"path": "days.sales.payload", "form": "xml", "base64": True}],
)
CHECK = "<check><sum>12.50</sum><row><sku>Ä</sku><total>12.50</total></row></check>"


def sale_with(payload: str, number: int = 1) -> dict[str, Any]:
    return {"id": f"A{number}", "shop": "S1", "at": "28/11/2026 18:30", "payload": payload}


def test_xml_in_base64_within_json_is_a_part_of_the_document():
    inner = b64encode(CHECK.encode()).decode()
    sales = [sale_with(inner), sale_with("no base64", 2), sale_with(inner, 3)]
    good, bad, other = mapped(IN_XML, {"days": [{"sales": sales}]})
    assert [one.receipt.total for one in (good, other)] == [1250, 1250]
    assert good.receipt.lines[0].code == "Ä"
    assert bad.problem.reason == "missing_field"
    for one in (good, bad, other):
        (again,) = mapped(IN_XML, one.raw())
        assert (again.receipt, str(again.problem)) == (one.receipt, str(one.problem))


def test_json_in_a_text_of_json_is_a_part_of_the_document():
    inner = msgspec.json.encode({"check": {"sum": "12.50", "row": [{"sku": "A", "total": 12.5}]}})
    spec = IN_XML | {"inside": [{"path": "days.*.payload", "form": "json"}]}
    assert receipt(spec, {"days": {"sales": [sale_with(inner.decode())]}}).total == 1250


@pytest.mark.parametrize("path", ["a[0].b", "//a", "a..b"])
def test_where_a_document_is_inside_is_said_from_the_top(path):
    with pytest.raises(MappingProblem) as caught:
        Mapper(read(spec_with(inside=[{"path": path, "form": "json"}])))
    assert caught.value.where == ("inside", 0, "path")
