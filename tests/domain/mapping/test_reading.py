"""What vendors send, as bytes: what is one receipt in it, and that what is damaged takes no more with it than
it must, and never goes unnoticed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.domain.mapping.test_mapper import (
    CSV,
    PLACES,
    SALE,
    SPEC,
    mapped,
    receipt_with,
    spec_with,
)
from tillstream.domain.mapping.known import Known
from tillstream.domain.mapping.mapper import Mapper
from tillstream.domain.mapping.spec import MappingProblem, read
from tillstream.domain.transaction import InvalidTransaction

SHOP = CSV | {
    "group_by": ["shop", "no"], "decimal": ",", "record": {"rows.shop": "present"},
    "receipt": CSV["receipt"] | {"transaction_id": {"template": "{rows[0].shop}-{rows[0].no}"}},
}  # fmt: skip
HEADER = "shop;no;item;price\n"


def csv(*rows: str, header: str = HEADER) -> bytes:
    return (header + "".join(f"{row}\n" for row in rows)).encode()


def totals(found: list[Any]) -> dict[str, int]:
    return {one.receipt.transaction_id: one.receipt.total for one in found if one.receipt}


def problems(found: list[Any]) -> list[str]:
    return [str(one.problem) for one in found if one.problem]


def again(spec: dict[str, Any], found: list[Any]) -> None:
    """What is a dead letter by itself says the same of itself when it comes back."""
    for one in found:
        if one.problem:
            (back,) = mapped(spec, one.raw())
            assert str(back.problem) == str(one.problem)


# ---- CSV: quotes


@pytest.mark.parametrize(("rows", "line"), [
    (['1;7;"Bread;12,50', "1;8;Milk;20,00"], 2),
    (["1;6;Tea;1", '1;7;"Bread;12,50', '1;8;"Milk;20,00', "1;9;Eggs;30,00"], 3),
    (["1;6;Tea;1", '1;7;"Bread;12,50', '1;8;Milk";20,00'], 3),
    (["1;6;Tea;1", '1;7;"Bread;12,50', "1;8;Tea;1", '1;9;Milk";20,00'], 3),
    (["1;6;Tea;1", '1;7;"Bread"s;12,50'], 3),
])  # fmt: skip
def test_a_quote_that_is_not_closed_swallows_no_receipt_and_its_line_is_named(rows, line):
    with pytest.raises(InvalidTransaction, match=rf"not_csv: line {line}: "):
        mapped(SHOP, csv(*rows))


def test_a_text_in_quotes_may_have_delimiters_quotes_and_several_lines():
    rows = ['1;7;"Bread; white";12,50', '1;8;"say ""x""";1', '1;9;"two\nlines; both";2']
    assert totals(mapped(SHOP, csv(*rows))) == {"1-7": 1250, "1-8": 100, "1-9": 200}


def test_a_text_of_several_lines_may_have_as_many_delimiters_as_a_row():
    rows = ['1;7;"Salsa; mild; chunky; 300 g\nproduct of Mexico";12,50', "1;8;Milk;20,00"]
    assert totals(mapped(SHOP, csv(*rows))) == {"1-7": 1250, "1-8": 2000}


# ---- CSV: rows that cannot be used


@pytest.mark.parametrize("wrong", [
    "1;7;Milk; 1l;20,00",  # a field too many, behind the columns of the group
    "1;7;Milk",
    "1;7;M\udcf6lk;20,00",
    "1\udcff;7;Milk;20,00",  # nobody can say of what, but for the rows around it
    "17;Milk;20,00",
])  # fmt: skip
def test_a_receipt_of_which_a_row_is_spoilt_is_not_booked_without_it(wrong):
    rows = ["1;6;Tea;1", "1;7;Bread;12,50", wrong, "1;7;Eggs;30,00", "1;8;Tea;1"]
    found = mapped(SHOP, csv(*rows[:2]) + wrong.encode("latin-1", "surrogateescape") + b"\n"
                   + csv(*rows[3:], header=""))  # fmt: skip
    assert totals(found) == {"1-6": 100, "1-8": 100}
    (told,) = problems(found)
    assert "line 4" in told
    assert told.startswith("not_text: " if max(wrong) > "\udc80" else "not_csv: ")
    again(SHOP, found)


def test_a_spoilt_row_is_found_by_the_columns_behind_the_fault_too():
    spec = SHOP | {"group_by": ["shop", "no"]}
    rows = ["Bread;12,50;1;7", "Milk; 1l;20,00;1;7", "Tea;1;1;8"]
    found = mapped(spec, csv(*rows, header="item;price;shop;no\n"))
    assert totals(found) == {"1-8": 100}
    assert len(problems(found)) == 1


def test_a_row_that_may_be_of_the_receipt_before_or_after_it_leaves_neither_short():
    rows = ["1;6;Tea;1", "1;7;Bread;12,50", "Wine;99,00", "1;8;Milk;20,00", "1;9;Eggs;30,00"]
    found = mapped(SHOP, csv(*rows))
    assert totals(found) == {"1-6": 100, "1-9": 3000}
    assert (
        problems(found)
        == ["not_csv: line 4: a row has not as many fields as there are columns"] * 2
    )
    again(SHOP, found)
    assert totals(mapped(SHOP, csv(*rows[:2], "Wine;99,00"))) == {"1-6": 100}


def test_a_row_without_its_shop_is_of_the_receipt_beside_it_that_has_its_number():
    for rows in (
        ["1;7;Bread;12,50", "7;Wine;99,00", "1;8;Milk;20,00"],
        ["1;7;1;12,50", "7;2;99,00", "1;8;1;20,00"],  # with numbers all over
    ):
        assert totals(mapped(SHOP, csv(*rows))) == {"1-8": 2000}


def test_a_spoilt_row_that_is_of_no_receipt_says_the_same_when_it_comes_back():
    found = mapped(SHOP, csv("1;7;Bread;12,50", "Sales of Monday"))
    assert totals(found) == {"1-7": 1250}
    again(SHOP, found)


def test_a_spoilt_row_that_is_repaired_makes_the_receipt_whole():
    letter, _ = mapped(SHOP, csv("1;7;Bread;12,50", "1;7;Milk; 1l;20,00", "1;8;Tea;1"))
    document = msgspec.json.decode(letter.raw())
    row = document["rows"][1]
    assert (row["shop"], row["item"], row["price"], row["column 5"]) == (
        "1",
        "Milk",
        " 1l",
        "20,00",
    )
    document["rows"][1] = {"shop": "1", "no": "7", "item": "Milk, 1l", "price": "20,00"}
    assert totals(mapped(SHOP, document)) == {"1-7": 3250}


def test_a_rule_to_skip_records_takes_none_that_lacks_a_field_because_it_is_cut():
    spec = SHOP | {"skip": [{"when": {"rows.price": "absent"}, "reason": "no-sale"}]}
    found = mapped(spec, csv("1;7;Bread", "1;8;Tea;1", "1;9;Drawer;"))
    assert [one.skipped for one in found if one.skipped] == ["no-sale"]
    assert len(problems(found)) == 1


# ---- CSV: which rows are one receipt


def test_tills_that_write_into_one_file_take_turns():
    rows = ["1;7;Bread;12,50", "2;7;Tea;1", "1;7;Milk;20,00", "2;7;Tea;1"]
    assert totals(mapped(SHOP, csv(*rows))) == {"1-7": 3250, "2-7": 200}


DAYS = SHOP["receipt"] | {"ended_at": {"path": "rows[0].at", "format": "%d.%m.%Y %H:%M"}}
OF_DAYS = SHOP | {"group_by": ["no"], "receipt": DAYS}
DAY = DAYS | {"transaction_id": {"template": "{rows[0].day}-{rows[0].no}"}}
STORES = DAYS | {"store": {"path": "rows[0].shop", "table": {"1": "S1", "2": "S2"}}}


@pytest.mark.parametrize(("said", "rows", "what"), [
    (DAYS, ["1;7;Bread;12,50;27.11.2026 18:30;27", "2;7;Tea;5;27.11.2026 18:30;27"], "transaction_id"),
    (DAYS, ["1;7;Bread;12,50;27.11.2026 18:30;27", "1;7;Tea;5;28.11.2026 09:00;28"], "day"),
    (DAY, ["1;7;Bread;12,50;27.11.2026 23:59;27", "1;7;Tea;5;28.11.2026 00:01;28"], "transaction_id"),
    (STORES | {"transaction_id": "rows[0].no"},
     ["1;7;Bread;12,50;27.11.2026 18:30;27", "2;7;Tea;5;27.11.2026 18:30;27"], "store"),
])  # fmt: skip
def test_two_receipts_of_one_number_are_never_made_one(said, rows, what):
    found = mapped(OF_DAYS | {"receipt": said}, csv(*rows, header="shop;no;item;price;at;day\n"))
    assert totals(found) == {}
    (told,) = problems(found)
    assert told.startswith("several_receipts: ")
    assert f"more than one {what}" in told
    again(OF_DAYS | {"receipt": said}, found)


def test_receipts_that_were_taken_for_one_are_two_once_the_mapping_tells_them_apart():
    rows = ["1;7;A;1;28.11.2026 18:30", "2;7;B;2;28.11.2026 18:30", "1;8;C;3;28.11.2026 18:31"]
    one, _ = mapped(OF_DAYS, csv(*rows, header="shop;no;item;price;at\n"))
    found = mapped(OF_DAYS | {"group_by": ["shop", "no"]}, one.raw())
    assert totals(found) == {"1-7": 100, "2-7": 200}


def test_a_group_that_comes_back_is_its_own_mappings_alone():
    branches = SHOP | {
        "mapping": "branches",
        "group_by": ["branch", "no"],
        "record": {"rows.no": "present"},
        "receipt": SHOP["receipt"]
        | {"transaction_id": {"template": "b{rows[0].branch}-{rows[0].no}"}},
    }
    shops = SHOP | {"record": {"rows.no": "present"}}
    known = Known(Mapper(read(spec)) for spec in (shops, branches))
    raw = csv("9;1;Bread;12,50", "9;2;Milk;x", header="branch;no;item;price\n")
    mapper, documents = known.of(raw)
    _, letter = mapper.transactions(raw, PLACES.get, documents=documents)
    mapper, _ = known.of(letter.raw().replace(b'"x"', b'"20,00"'))
    assert mapper.spec.mapping == "branches"


def test_rows_of_one_receipt_may_say_each_its_own_minute_or_nothing():
    rows = ["1;7;Bread;12,50;28.11.2026 18:30;", "1;7;Milk;1;28.11.2026 18:32;", ";7;Tea;1;;"]
    found = mapped(OF_DAYS, csv(*rows, header="shop;no;item;price;at;day\n"))
    assert totals(found) == {"1-7": 1450}


# ---- CSV: its columns


def test_columns_without_a_name_and_of_one_name_do_no_harm():
    found = mapped(SHOP, csv("1;7;Bread;12,50;;", header="shop;no;item;price;;\n"))
    assert totals(found) == {"1-7": 1250}
    lines = [SHOP["lines"][0] | {"set": SHOP["lines"][0]["set"] | {"amount": "price[1]"}}]
    found = mapped(
        SHOP | {"lines": lines}, csv("1;7;Bread;9;12,50", header="shop;no;item;price;price\n")
    )
    assert totals(found) == {"1-7": 1250}
    assert (
        "price" in problems(mapped(SHOP, csv("1;7;A;9;1", header="shop;no;item;price;price\n")))[0]
    )


NAMES = ["shop", "no", "item", "price"]


@pytest.mark.parametrize(("change", "file"), [
    ({"header": NAMES}, "1;7;Bread;12,50\n1;8;Tea;1\n"),
    ({"header": NAMES}, "sep=;\n1;7;Bread;12,50\n1;8;Tea;1\n"),
    ({"header": 3}, f'Sales of "Monday\n\n{HEADER}1;7;Bread;12,50\n1;8;Tea;1\n'),
    ({}, f"sep=;\r\n{HEADER}1;7;Bread;12,50\n1;8;Tea;1\n"),
    ({"delimiter": ","}, f'"sep=;"\n{HEADER}1;7;Bread;12,50\n1;8;Tea;1\n'),
    ({"header": 2}, f"sep=;\n{HEADER}1;7;Bread;12,50\n1;8;Tea;1\n"),
])  # fmt: skip
def test_a_file_may_say_its_columns_first_later_or_not_at_all(change, file):
    assert totals(mapped(SHOP | change, file.encode())) == {"1-7": 1250, "1-8": 100}


def test_lines_are_counted_from_the_files_own_first():
    file = f"report\n\n{HEADER}1;7;Bread;12,50\n1;7;Milk; 1l;20,00\n"
    assert "line 5" in problems(mapped(SHOP | {"header": 3}, file.encode()))[0]
    with pytest.raises(InvalidTransaction, match="line 3 has no column"):
        mapped(SHOP | {"header": 3}, b"a\nb\nc\nd\n")


def test_what_has_no_header_is_known_by_a_row_that_has_all_fields():
    with pytest.raises(InvalidTransaction, match="no row has 4 fields"):
        mapped(SHOP | {"header": NAMES}, b"<a>;</a>\n")


@pytest.mark.parametrize(("change", "where"), [
    ({"header": ["shop"]}, ("group_by",)), ({"form": "json", "header": 2}, ("header",)),
    ({"starts": "x"}, ("starts",)), ({"form": "text", "starts": "("}, ("starts",)),
])  # fmt: skip
def test_words_of_another_form_are_refused(change, where):
    patterns = [{"name": "a", "pattern": "(?P<x>b)"}]
    with pytest.raises(MappingProblem) as caught:
        Mapper(read(SHOP | {"patterns": patterns} | change))
    assert caught.value.where == where


# ---- JSON: lists and lines


def lines_of(*records: Any) -> bytes:
    return b"\n".join(
        one if isinstance(one, bytes) else msgspec.json.encode(one) for one in records
    )


@pytest.mark.parametrize(
    "cut", [b'{"no": 8, "shop": "S1', b'{"no": 8, "shop": "\xff"}', b'{"no": 8} x', b"no"]
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_line_that_is_no_json_takes_no_other_with_it(cut, at):
    records: list[Any] = [SALE, SALE | {"no": 9}]
    records.insert(at, cut)
    found = mapped(SPEC, lines_of(*records))
    assert totals(found) == {"S1-7": 1250, "S1-9": 1250}
    (letter,) = [one for one in found if one.problem]
    assert f"line {at + 1}: " in str(letter.problem)
    assert letter.problem.reason == ("not_text" if b"\xff" in cut else "not_json")
    assert letter.raw() == cut


def test_a_line_that_is_no_json_is_never_skipped():
    spec = spec_with(skip=[{"when": {"no": {"not": "7"}}, "reason": "other"}])
    found = mapped(spec, lines_of(SALE, b'{"no": 7', SALE | {"no": 9}))
    assert [one.skipped for one in found] == [None, None, "other"]
    assert len(problems(found)) == 1


@pytest.mark.parametrize("broken", [
    b'[\n{"no": 1},\n{"no": 2},\n{"no": 3}\n',
    b'{"sales": [\n{"no": 1},\n{"no": 2}\n',
    b'{\n "no": 1,\n "shop": "S1"',
])  # fmt: skip
def test_one_document_over_several_lines_that_is_broken_is_no_lines_of_json(broken):
    with pytest.raises(InvalidTransaction, match="not_json"):
        mapped(SPEC, broken)


ORDERS = [
    {"day": "2026-11-28", "sales": [SALE, SALE | {"no": 8, "sum": "99"}]},
    {"day": "2026-11-29", "sales": [SALE | {"no": 9}]},
]


@pytest.mark.parametrize("raw", [msgspec.json.encode(ORDERS), lines_of(*ORDERS)])
def test_the_document_of_a_record_is_its_own_object_of_a_list_or_of_lines(raw):
    spec = receipt_with(business_day="//day")
    found = mapped(spec, raw)
    days = [str(one.receipt.business_day) for one in found if one.receipt]
    assert days == ["2026-11-28", "2026-11-29"]
    assert [one.problem.reason for one in found if one.problem] == ["lines_total"]
    again(spec, found)


@pytest.mark.parametrize("fault", ["not_csv, line 3", "no-such", 7, None, ["not_csv"], {"a": 1}])
def test_what_a_sender_says_of_faults_is_a_reason_to_refuse_and_breaks_nothing(fault):
    (one,) = mapped(SPEC, SALE | {"fault of the record": fault})
    assert one.problem.reason in ("not_csv", "unknown_record")


# ---- encodings


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "shift_jis", "gbk"])
def test_json_is_read_in_the_encoding_that_the_mapping_says(encoding):
    name = "\u732b" if encoding in ("shift_jis", "gbk", "utf-16") else "Br\u00f6tchen"
    good = SALE | {"items": [{"sku": name, "total": "12.50"}]}
    spec = SPEC | {"encoding": encoding}
    raw = (
        msgspec.json.encode({"sales": [good, good | {"no": 8, "sum": "99"}]})
        .decode()
        .encode(encoding)
    )
    found = mapped(spec, raw)
    assert [one.receipt.lines[0].code for one in found if one.receipt] == [name]
    again(spec, found)
    repaired = found[1].raw().replace(b'"99"', b'"12.50"')
    (made,) = mapped(spec, repaired)
    assert made.receipt.lines[0].code == name


XML: dict[str, Any] = spec_with(
    form="xml", records="day.sale", record={"no": "present"},
    receipt=SPEC["receipt"] | {"cashier": {"path": "who", "table": {"\u732b": "cat", "\u00f6": "oe"}}},
)  # fmt: skip
BODY = (
    "<day><sale><no>7</no><shop>S1</shop><at>28/11/2026 18:30</at><sum>12.50</sum><who>{}</who>"
    "<items><sku>A</sku><total>12.50</total></items></sale></day>"
)


@pytest.mark.parametrize(("declared", "said", "actual", "who"), [
    ("Shift_JIS", "", "shift_jis", "\u732b"), ("GBK", "", "gbk", "\u732b"),
    ("UTF-8", "latin-1", "latin-1", "\u00f6"), ("ISO-8859-1", "", "latin-1", "\u00f6"),
    ("ISO-8859-1", "utf-8", "utf-8", "\u00f6"), ("UTF-16", "", "utf-16", "\u732b"),
])  # fmt: skip
def test_xml_is_read_in_what_the_mapping_says_else_in_what_it_declares(declared, said, actual, who):
    raw = f'<?xml version="1.0" encoding="{declared}"?>\n{BODY.format(who)}'.encode(actual)
    (one,) = mapped(XML | {"encoding": said}, raw)
    assert one.receipt, one.problem
    assert one.receipt.cashier == {"\u732b": "cat", "\u00f6": "oe"}[who]


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00", b"<a/>", b"\x00\xd8\x00\xd8", b"no;no\n1"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-7", "idna", "punycode"])
@pytest.mark.parametrize("form", ["csv", "text", "json", "xml"])
def test_bytes_that_are_not_of_an_encoding_are_left_to_the_next_mapping(raw, encoding, form):
    patterns = [{"name": "line", "pattern": "(?P<a>.*)"}]
    group_by = ["no"] if form == "csv" else []
    strange = SPEC | {
        "form": form,
        "encoding": encoding,
        "patterns": patterns,
        "group_by": group_by,
    }
    known = Known([Mapper(read(strange)), Mapper(read(XML))])
    assert known.of(BODY.format("\u00f6").encode() + b" ").mapper.spec.form == "xml"
    with pytest.raises(InvalidTransaction):
        known.of(raw)


# ---- XML: document types


def test_a_document_type_that_declares_nothing_does_no_harm():
    raw = (
        '<?xml version="1.0"?>\n<!-- a > b -->\n<!DOCTYPE day SYSTEM "day.dtd">\n' + BODY.format("")
    ).encode()
    (one,) = mapped(XML, raw)
    assert one.receipt, one.problem


@pytest.mark.parametrize(("kind", "body"), [
    ('day SYSTEM "a.dtd"', BODY.format("&x;")),
    ('day SYSTEM "a.dtd"', BODY.format("").replace("<no>", '<no a="&x;">')),
    ('day [<!ENTITY x "y">]', BODY.format("")),
    ('day [<!ATTLIST no a CDATA "b">]', BODY.format("")),
    ('day SYSTEM "a.dtd" [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]', BODY.format("")),
])  # fmt: skip
def test_nothing_that_a_document_type_declares_is_read_or_silently_missing(kind, body):
    with pytest.raises(InvalidTransaction, match="not_xml"):
        mapped(XML, f"<!DOCTYPE {kind}>{body}".encode())


def test_a_document_type_within_a_text_is_a_text():
    text = "<who><![CDATA[<!DOCTYPE x>]]></who>"
    spec = XML | {
        "receipt": XML["receipt"] | {"cashier": {"path": "who", "match": "DOC(TYPE) x>$"}}
    }
    (one,) = mapped(spec, BODY.replace("<who>{}</who>", text).encode())
    assert one.receipt.cashier == "TYPE"


# ---- what no mapping knows


PATTERNS = [{"name": "no", "pattern": "No (?P<no>[0-9]+)"}]
TEXT = SPEC | {"form": "text", "patterns": PATTERNS, "records": [], "record": {"no": "present"}}


@pytest.mark.parametrize(("raw", "said"), [
    (b"<day><sale>", "not_xml: line 1, column 12"),
    (b'\xef\xbb\xbf\n<!DOCTYPE a [<!ENTITY x "y">]><a/>', "not_xml: a document type"),
    ("<day><sale>".encode("utf-16"), "not_xml"),
    (csv('1;7;"Bread;12,50'), "not_csv: line 2"),
    (b"number;item\n1;2\n", "not_csv: line 1 has no column shop"),
    (b"No 7 \xff", "not_text"),
    (b"", "not_json: the record is empty"),
    (b'{"no": 7', "not_json"),
    (b'{"no": "\xff"}', "not_utf8"),
    (b"<other/>", "not_json"),  # it is XML, and of no mapping
    (b'{"x": 1}', "unknown_field"),
])  # fmt: skip
def test_what_is_damaged_says_why_by_the_form_it_has(raw, said):
    specs = [XML, CSV | {"group_by": ["day"]}, SHOP, SPEC]
    if raw.startswith(b"No"):
        specs = [XML, TEXT, SPEC]
    elif b"number" in raw:
        specs = [XML, SHOP, SPEC]
    known = Known(Mapper(read(spec)) for spec in specs)
    with pytest.raises(InvalidTransaction, match=said):
        known.of(raw)


@pytest.mark.parametrize(("spec", "raw"), [
    (SPEC, b'{"sales": [], "cursor": null}'), (SPEC, b'{"sales": []}\n{"sales": []}\n'),
    (SPEC, b'{"sales": [], "errors": [], "default": true, "error": null, "status": 200}'),
    (SPEC, b'{"sales": [], "page": {"no": 1}}'),
    (SPEC | {"records": "data.sales"}, b'{"data": {"sales": []}}'),
    (XML, b"<day/>"), (XML, b'<?xml version="1.0"?><day xmlns="u" n="1">\n</day>'),
    (SHOP, HEADER.encode()), (SHOP | {"header": 2}, b"Monday\n" + HEADER.encode() + b"\n;;;\n"),
])  # fmt: skip
def test_a_page_without_receipts_is_nothing_to_refuse(spec, raw):
    mapper, documents = Known(
        [Mapper(read(XML | {"records": "other.sale"})), Mapper(read(spec))]
    ).of(raw)
    assert mapper.spec == read(spec)
    assert list(mapper.transactions(raw, PLACES.get, documents=documents)) == []


@pytest.mark.parametrize("raw", [
    b'{"sales": [], "items": [1]}', b'{"sales": null}', b'{"x": []}', b"null", b"<day><x/></day>", b"<week/>",
    b"shop;item\n", b"x", b'{"sales": [], "error": "timeout"}', b'<day status="error"/>',
    b'{"sales": [], "page": {"errors": ["gone"]}}', b'{"sales": [], "status": 503}',
    b'{"sales": []}\n{"sales": [], "message": "Request timed out"}', b"[]", b" [ ]\n", b"[[], []]",
    b"[]\n[]\n", b"\xef\xbb\xbf[]", b"{}", b"[{}]", b"[null]", b"\n\n", b"",
])  # fmt: skip
def test_what_may_be_more_than_an_empty_page_is_told(raw):
    known = Known(Mapper(read(spec)) for spec in (SPEC, XML, SHOP, SHOP | {"header": NAMES}, TEXT))
    with pytest.raises(InvalidTransaction):
        known.of(raw)


def test_an_empty_page_among_lines_is_nothing_and_one_that_failed_is_told():
    sale = msgspec.json.encode({"sales": [SALE]})
    pages = [b'{"sales": []}', sale, b'{"sales": [], "error": "timeout"}']
    found = mapped(SPEC, b"\n".join(pages))
    assert len(totals(found)) == 1
    (told,) = problems(found)
    assert told.startswith("unknown_record: ")


def test_a_mapping_that_knows_a_record_goes_before_one_to_which_it_is_empty():
    other = SPEC | {"mapping": "other", "records": "returns", "record": {"x": "present"}}
    knows = SPEC | {"record": {"no": "present"}}
    raw = msgspec.json.encode(SALE | {"returns": [], "items": []})
    assert Known([Mapper(read(other)), Mapper(read(knows))]).of(raw).mapper.spec == read(knows)


# ---- texts


JOURNAL = TEXT | {
    "starts": "=+ RECEIPT =+",
    "patterns": [*PATTERNS, {"name": "sum", "pattern": "Total +(?P<sum>[0-9.]+)"},
                 {"name": "item", "until": "sum", "pattern": "(?P<sku>[A-Z]+) +(?P<total>[0-9.]+)"}],
    "receipt": SPEC["receipt"] | {"transaction_id": "no.no", "store": {"const": "S1"}, "total": "sum.sum",
                                  "ended_at": {"const": "28/11/2026 18:30", "format": "%d/%m/%Y %H:%M"}},
    "lines": [SPEC["lines"][0] | {"each": "item"}],
}  # fmt: skip
ROLL = """Till 4
== RECEIPT ==
No 7
BREAD   12.50
Total   12.50

== RECEIPT ==
No 8
MILK     2.00
Total    3.00
== RECEIPT ==
No 9
TEA      1.00
Total    1.00
"""


def test_receipts_one_behind_the_other_in_a_text_are_each_their_own():
    found = mapped(JOURNAL, ROLL.encode())
    assert totals(found) == {"7": 1250, "9": 100}
    assert [told.partition(":")[0] for told in problems(found)] == ["lines_total"]
    again(JOURNAL, found)


def test_a_byte_that_is_not_of_the_encoding_spoils_its_own_receipt():
    raw = ROLL.replace("MILK ", "MILK\n\udce9 ").encode("utf-8", "surrogateescape")
    found = mapped(JOURNAL, raw)
    assert totals(found) == {"7": 1250, "9": 100}
    assert problems(found) == ["not_text: line 10: bytes are not of the encoding utf-8"]
    again(JOURNAL, found)
    (alone,) = ROLL.split("\n\n")[:1]
    with pytest.raises(InvalidTransaction, match="not_text"):
        mapped(JOURNAL, alone.replace("BREAD", "\udce9").encode("utf-8", "surrogateescape"))


def test_lines_of_fixed_columns_may_be_long_and_begin_with_blanks():
    patterns = [{"name": "no", "pattern": "(?P<no> .{4}).{700}(?P<sum>.{8})"},
                {"name": "item", "pattern": "I(?P<sku>.{5}).{500}(?P<total>.{8})"}]  # fmt: skip
    spec = JOURNAL | {"starts": " .{712}", "patterns": patterns}
    spec["receipt"] = spec["receipt"] | {"total": "no.sum"}
    one, two = (f" {n:>4}{'x' * 700}{'12.50':>8}\nIBREAD{' ' * 500}{'12.50':<8}\n" for n in (7, 8))
    assert totals(mapped(spec, (one + two).encode())) == {"7": 1250, "8": 1250}
