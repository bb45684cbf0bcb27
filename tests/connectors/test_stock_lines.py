"""The reader in the JVM takes exactly the front door's transactions, and loses no line that moves stock."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import ROOT
from tests.support.receipts import receipts
from tests.support.sales import T0, canonical, checked, line, refund, sale, void
from tillstream.connectors.gateway import java
from tillstream.connectors.sources import taking_apart
from tillstream.domain.envelope import seal
from tillstream.domain.receipt.canonical import Item
from tillstream.domain.receipt.front_door import StorePlace, of_contract
from tillstream.domain.receipt.parse import parse
from tillstream.domain.receipt.product import canonical as product_of
from tillstream.domain.receipt.product import check_digit, printed
from tillstream.domain.receipt.reading import opened, stock_units
from tillstream.domain.stock import baskets
from tillstream.domain.stock.baskets import NO_BUNDLES, Bundles, Part
from tillstream.domain.stock.inventory import InventoryRules, on_line
from tillstream.domain.stock.ledger import Line
from tillstream.domain.stock.network import NOBODY
from tillstream.domain.transaction import InvalidTransaction
from tillstream.sim.simulator import Simulator
from tillstream.udfs.passing.stock import LINE, TRANSACTION, read

EXAMPLES = ROOT / "state_schemas" / "events" / "pos_transaction" / "examples" / "valid"
PLACE = StorePlace(45, "Africa/Johannesburg", "ZAR", "ZA", "western-cape")
# Of the topic, later than the till's own record came.
TAKEN_MS = 4_000_000_000_000
BREAD, BANANAS, COFFEE = "6001240100035", "plu-4011", "sku-7"
EGGS, BREAKFAST, BOX = "6001240100011", "6001240200018", "sku-box/7"
BUNDLES = {
    BREAKFAST: (Part(EGGS, 6, "each"), Part(BREAD, 1, "each")),
    BOX: (Part(BANANAS, 750, "kg"), Part(EGGS, 12, "each")),
}
EACH_MANY = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150
)


@pytest.fixture(scope="module")
def lines_of(classes):
    """Rows (key, value) that the reader makes of the bytes of a record."""
    return reading(classes.StockLines())


@pytest.fixture(scope="module")
def lines_of_bundles(classes):
    """The same where there are BUNDLES."""
    return reading(taking_apart(BUNDLES))


def reading(reader):
    jvm = java()

    def read(payload: bytes) -> list[tuple[str, bytes]]:
        out = jvm.java.util.ArrayList()
        collector = jvm.org.apache.flink.api.common.functions.util.ListCollector(out)
        row = jvm.org.apache.flink.types.Row(2)
        row.setField(0, "")
        row.setField(1, sealed(payload))
        reader.flatMap(row, collector)
        return [(found.getField(0), bytes(found.getField(1))) for found in out]

    return read


def sealed(payload: bytes) -> bytes:
    return seal("kafka:transactions/0/1", TAKEN_MS, payload)


def agrees(lines_of, payload: bytes, bundles: Bundles = NO_BUNDLES) -> None:
    """What the JVM reads is what Python does."""
    made = lines_of(payload)
    try:
        receipt = baskets.read(payload)
    except InvalidTransaction:
        ((key, value),) = made
        assert key.startswith("~")
        assert value == TRANSACTION + sealed(payload)
        assert read(value) == opened(sealed(payload))
        return
    refused = [(key, value) for key, value in made if value[:1] == TRANSACTION]
    assert bool(refused) == (baskets.uncounted(receipt, bundles) is not None)
    assert len(refused) <= 1
    assert all(key.startswith("~") and value[1:] == sealed(payload) for key, value in refused)
    taken = [(key, read(value)) for key, value in made if value[:1] == LINE]
    assert taken == list(moved(receipt, bundles))


def moved(receipt: baskets.Receipt, bundles: Bundles):
    gone = baskets.taken_out(receipt.lines)
    for n, one in enumerate(receipt.lines, 1):
        if not (baskets.moves(one) and baskets.is_countable(one, bundles)) or n - 1 in gone:
            continue
        count = stock_units(one.thousandths, one.unit)
        product = printed(one.product)
        kind = "refund" if one.kind == "return" else "sale"
        kind = "void" if receipt.kind == "void" else kind
        whole = [(f"{n}", product, count, one.unit)]
        parts = [
            (f"{n}/{part.product}", part.product, count * part.units, part.unit)
            for part in bundles.get(product, ())
        ]
        for name, code, units, unit in parts or whole:
            undoes = kind == "void" and receipt.source == "pos/1"
            yield (
                f"{receipt.store}/{code}",
                Line(
                    kind, f"{receipt.transaction_id}/{name}", receipt.store, code, -units,
                    receipt.ended_ms, None, receipt.arrived_ms, unit,
                    f"{receipt.voids}/{name}" if undoes else None,
                ),
            )  # fmt: skip


def of_items(*items: Item, **changes: Any) -> bytes:
    made = checked(sale())
    return msgspec.json.encode(msgspec.structs.replace(made, lines=items, **changes))


def item(kind: str, product: str, thousandths: int = 1000, **of: Any) -> Item:
    return Item(kind, product, 100, 100, thousandths, **of)


def shelves(lines_of, payload: bytes) -> list[list[Any]]:
    """Of the lines that move stock: id, product, quantity, unit."""
    rows = [json.loads(value[1:]) for _, value in lines_of(payload) if value[:1] == LINE]
    return [[row[0], row[1], row[3], row[4], row[8]] for row in rows]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda p: p.stem)
def test_every_example_of_contract_v1_moves_the_lines_that_it_moved(lines_of, path):
    document = json.loads(path.read_bytes())
    raw = canonical(document, arrived_ms=document["event_time_ms"] + 7)
    agrees(lines_of, raw)
    sign = -1 if document["kind"] == "sale" else 1
    assert [(key, json.loads(value[1:])) for key, value in lines_of(raw)] == [
        (
            f"{document['store']}/{one['product']}",
            [
                document["kind"],
                f"{document['transaction_id']}/{n}",
                document["store"],
                one["product"],
                sign * one["quantity"],
                document["event_time_ms"],
                None,
                document["event_time_ms"] + 7,
                "each",
                *([f"{document['refers_to']}/{n}"] if document["kind"] == "void" else []),
            ],
        )
        for n, one in enumerate(document["lines"], start=1)
    ]


def test_simulated_traffic_is_read_alike(lines_of):
    for sent in Simulator("normal", 3, count=300):
        agrees(lines_of, canonical(sent.record))


def test_of_a_mixed_basket_what_is_sold_and_what_comes_back_to_the_shelf_moves(lines_of):
    raw = of_items(
        item("sale", f"0{BREAD}", 2000),
        item("deposit", f"0{BREAD}"),
        item("return", COFFEE, -1000, back_to="shelf"),
        item("return", COFFEE, -1000, back_to="waste"),
        item("return", COFFEE, -1000, back_to="supplier"),
        item("sale", BANANAS, 512, unit="kg"),
        item("sale", ""),
        *(item(kind, COFFEE) for kind in ("bottle_return", "fee", "gift_card", "agency", "coupon")),
        item("sale", "name-brötchen", 3000),
    )
    identity = checked(sale()).transaction_id
    agrees(lines_of, raw)
    assert shelves(lines_of, raw) == [
        ["sale", f"{identity}/1", BREAD, -2, "each"],
        ["refund", f"{identity}/3", COFFEE, 1, "each"],
        ["sale", f"{identity}/6", BANANAS, -512, "kg"],
        ["sale", f"{identity}/13", "name-brötchen", -3, "each"],
    ]


@pytest.mark.parametrize(
    ("fates", "correction", "moved"),
    [(("shelf", "waste"), "shelf", 0), (("waste", "shelf"), "waste", 1),
     (("shelf", "waste"), "waste", 1), (("waste",), "shelf", -1)],
)  # fmt: skip
def test_a_return_is_taken_out_by_what_goes_where_it_went(lines_of, fates, correction, moved):
    back = [Item("return", COFFEE, -100, -100, -1000, back_to=fate) for fate in fates]
    raw = of_items(*back, Item("return", COFFEE, 100, 100, 1000, back_to=correction))
    agrees(lines_of, raw)
    assert sum(row[3] for row in shelves(lines_of, raw)) == moved


def test_a_void_moves_back_what_its_receipt_moved(lines_of):
    sold = [
        item("sale", f"0{BREAD}", 2000),
        item("return", COFFEE, -1000, back_to="shelf"),
        item("return", COFFEE, -1000, back_to="waste"),
        item("sale", BANANAS, 512, unit="kg"),
    ]
    undone = [msgspec.structs.replace(one, thousandths=-one.thousandths) for one in sold]
    before = shelves(lines_of, of_items(*sold))
    after = shelves(lines_of, of_items(*undone, kind="void"))
    assert [row[0] for row in after] == ["void"] * 3
    assert [[*row[1:3], -row[3], *row[4:]] for row in after] == [row[1:] for row in before]


def test_refund_and_void_of_contract_v1_bring_back(lines_of):
    lines = [line(BREAD, 2, 100, "bakery"), line("2000000000411", 1, 100, "dairy")]
    of = "0045-03-20251124-000001"
    for made in (refund("0045-03-20251124-000002", of, lines=lines),
                 void("0045-03-20251124-000003", of, lines=lines)):  # fmt: skip
        found = shelves(lines_of, canonical(made))
        assert [(row[0], row[3]) for row in found] == [(made["kind"], 2), (made["kind"], 1)]


def test_a_void_of_contract_v1_names_the_lines_that_it_undoes_and_none_of_v2_does(lines_of):
    sent = void("0045-03-20251124-000003", "0045-03-20251124-000002")
    ((_, value),) = lines_of(canonical(sent))
    assert json.loads(value[1:])[9:] == ["0045-03-20251124-000002/1"]
    ((_, value),) = lines_of(of_items(item("return", COFFEE, 1000, back_to="shelf"), kind="void",
                                      source="pos/2", voids="T-1"))  # fmt: skip
    assert json.loads(value[1:])[4:] == [-1, T0, None, checked(sale()).arrived_ms, "each"]


@pytest.mark.parametrize("order", permutations(range(3)), ids=str)
def test_a_return_of_contract_v1_that_is_voided_leaves_the_shelf_as_its_sale_did(lines_of, order):
    sold = sale("0045-03-20251124-000001", pieces=3)
    back = refund("0045-03-20251124-000002", sold["transaction_id"], event_time_ms=T0 + 1, pieces=2)
    undone = void("0045-03-20251124-000003", back["transaction_id"], event_time_ms=T0 + 2, pieces=2)
    stock, levels = None, []
    for n in (*order, *order):
        ((_, value),) = lines_of(canonical((sold, back, undone)[n]))
        after, entry, _ = on_line(stock, read(value), NOBODY, InventoryRules())
        stock = after or stock
        levels += [entry.new_quantity] if entry else []
    assert (levels[-1], len(levels)) == (-3, 3)


def test_a_sale_of_a_bundle_takes_its_parts_off_their_shelves_and_has_none_itself(lines_of_bundles):
    raw = of_items(
        item("sale", f"0{BREAKFAST}", 2000), item("sale", f"0{EGGS}"), item("sale", BOX),
        item("return", BOX, -1000, back_to="shelf"), item("return", BOX, -1000, back_to="waste"),
    )  # fmt: skip
    identity = checked(sale()).transaction_id
    agrees(lines_of_bundles, raw, BUNDLES)
    assert shelves(lines_of_bundles, raw) == [
        ["sale", f"{identity}/1/{EGGS}", EGGS, -12, "each"],
        ["sale", f"{identity}/1/{BREAD}", BREAD, -2, "each"],
        ["sale", f"{identity}/2", EGGS, -1, "each"],
        ["sale", f"{identity}/3/{BANANAS}", BANANAS, -750, "kg"],
        ["sale", f"{identity}/3/{EGGS}", EGGS, -12, "each"],
        ["refund", f"{identity}/4/{BANANAS}", BANANAS, 750, "kg"],
        ["refund", f"{identity}/4/{EGGS}", EGGS, 12, "each"],
    ]


def test_a_voided_return_of_a_bundle_leaves_its_parts_as_its_sale_did(lines_of_bundles):
    sold = sale("0045-03-20251124-000001", product=BREAKFAST, pieces=2)
    back = refund("0045-03-20251124-000002", sold["transaction_id"], product=BREAKFAST)
    undone = void("0045-03-20251124-000003", back["transaction_id"], product=BREAKFAST)
    for order in permutations((sold, back, undone)):
        stock: dict = {}
        for sent in (*order, *order):
            for key, value in lines_of_bundles(canonical(sent)):
                after, _, _ = on_line(stock.get(key), read(value), NOBODY, InventoryRules())
                stock[key] = after or stock[key]
        assert {key: kept.level for key, kept in stock.items()} == {
            f"45/{EGGS}": -12, f"45/{BREAD}": -2
        }  # fmt: skip


@pytest.mark.parametrize(
    ("thousandths", "unit", "reason"),
    [(1500, "each", "fraction_of_a_piece"), (1000, "kg", "fraction_of_a_piece"),
     (400_000_000_000, "each", "out_of_range"), (-(2**53) + 1 + 991, "each", "out_of_range")],
)  # fmt: skip
def test_a_bundle_that_cannot_be_counted_moves_none_of_its_parts(
    lines_of_bundles, thousandths, unit, reason
):
    raw = of_items(item("sale", BREAKFAST, thousandths, unit=unit), item("sale", EGGS))
    agrees(lines_of_bundles, raw, BUNDLES)
    assert [row[1].partition("/")[2] for row in shelves(lines_of_bundles, raw)] == ["2"]
    assert (baskets.uncounted(baskets.read(raw), BUNDLES) or ("",))[0] == reason


def test_a_part_of_a_piece_holds_no_other_line_back_and_is_told_once(lines_of):
    raw = of_items(
        item("sale", f"0{BREAD}"), item("sale", COFFEE, 512), item("sale", COFFEE, 1),
        item("fee", COFFEE, 512), item("return", COFFEE, -512, back_to="waste"),
        item("sale", COFFEE, -3000),
    )  # fmt: skip
    agrees(lines_of, raw)
    assert [row[1].rpartition("/")[2] for row in shelves(lines_of, raw)] == ["1", "6"]
    (refused,) = [value for _, value in lines_of(raw) if value[:1] == TRANSACTION]
    assert baskets.uncounted(baskets.read(read(refused).raw)) == (
        "fraction_of_a_piece", "$.lines[1], $.lines[2]: a part of a piece cannot be counted"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("thousandths", "unit"), [(2**31 * 1000, "each"), (-(2**31), "kg"), (2**53 - 1, "m")]
)
def test_more_than_a_shelf_can_count_is_told(lines_of, thousandths, unit):
    raw = of_items(item("sale", COFFEE, thousandths, unit=unit), item("sale", COFFEE))
    agrees(lines_of, raw)
    reason, message = baskets.uncounted(baskets.read(raw)) or ("", "")
    assert (reason, message[:11]) == ("out_of_range", "$.lines[0]:")


@pytest.mark.parametrize(
    "identity", ["7", "POS.4:2026/11-29_0001", "0045/3", "x" * 64, "1c0ffee0-0000-4000-8000-1"]
)
@pytest.mark.parametrize("product", ['sku-"\\', "sku-a/b|c", "name-ä \u2028 🍞", "sku-é{}[],"])
def test_ids_and_codes_of_any_form_are_one_line_with_their_own_text(lines_of, identity, product):
    raw = of_items(item("sale", product), transaction_id=identity)
    agrees(lines_of, raw)
    ((key, value),) = lines_of(raw)
    assert key == f"45/{product}"
    assert json.loads(value[1:])[1] == f"{identity}/1"


def test_odd_but_canonical_receipts_are_read(lines_of):
    agrees(lines_of, of_items())
    agrees(lines_of, of_items(*[item("sale", COFFEE)] * 1_000))
    agrees(lines_of, of_items(item("sale", COFFEE, 0), Item("sale", COFFEE, -5, -(2**53))))
    assert len(lines_of(of_items(*[item("sale", COFFEE)] * 1_000))) == 1_000


@EACH_MANY
@given(receipts(), st.sampled_from(["retail", "void"]), st.sampled_from(["each", "kg"]))
def test_baskets_of_contract_v2_are_read_alike(lines_of, document, kind, unit):
    document |= {"kind": kind} | ({"voids": "T-0"} if kind == "void" else {})
    for one in document["lines"]:
        one |= {"scheme": "sku", "unit": unit}
    made = of_contract(parse(orjson.dumps(document)), PLACE, "pos/2")
    agrees(lines_of, msgspec.json.encode(made))


GOOD = json.loads(canonical(sale(lines=[line(BREAD, 2, 500, "bakery")] * 2)))
odd = st.sampled_from(
    [0, 1, -1, 1.0, 1e3, 2**31 - 1, 2**53, True, None, "", "x", "sale", "return", "void", "retail",
     "shelf", "kg", "é", "45|", [], {}, [1], [[{"kind": "sale"}]], 1_764_000_000_000]
)  # fmt: skip
OPTIONAL = ("kind", "version", "customer", "arrived_ms", "voids", "x")
names = st.sampled_from([*GOOD, *OPTIONAL])
of_line = st.sampled_from(list(Item.__struct_fields__))


@EACH_MANY
@given(
    st.lists(st.tuples(names, odd), max_size=2), st.lists(st.tuples(of_line, odd), max_size=2),
    st.lists(names, max_size=1), st.lists(of_line, max_size=1),
)  # fmt: skip
def test_what_somebody_else_puts_into_the_topic_is_judged_alike(lines_of, changed, of, gone, off):
    record = json.loads(json.dumps(GOOD)) | dict(changed)
    if isinstance(record["lines"], list) and len(record["lines"]) == 2:
        record["lines"][1] |= dict(of)
        for name in off:
            record["lines"][1].pop(name, None)
    for name in gone:
        record.pop(name, None)
    agrees(lines_of, json.dumps(record).encode())


@EACH_MANY
@given(st.integers(0, 10**6), st.binary(max_size=2))
def test_broken_bytes_stop_nothing(lines_of, at, put):
    raw = bytearray(orjson.dumps(GOOD))
    at %= len(raw)
    raw[at : at + 1] = put
    assert lines_of(bytes(raw))


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"null", b"[]", b"\0", b"\xff\xfe", b"{}{}", orjson.dumps(GOOD)[:-1],
     orjson.dumps(GOOD) + b"{}", orjson.dumps(GOOD | {"store": 2**40}), orjson.dumps(sale())],
)  # fmt: skip
def test_what_is_no_transaction_leaves_as_it_came(lines_of, raw):
    ((key, value),) = lines_of(raw)
    assert key.startswith("~")
    assert value == TRANSACTION + sealed(raw)


digits = st.text("0123456789", min_size=1, max_size=16)
zeros = st.builds(lambda n, rest: "0" * n + rest, st.integers(0, 14), digits)
valid = st.builds(
    lambda length, code: code[:length] + check_digit(code[:length]),
    st.sampled_from([7, 11, 12, 13]),
    st.builds(
        lambda n, rest: "0" * n + rest, st.integers(0, 8), st.text("0123456789", min_size=13)
    ),
)
codes = st.one_of(
    digits, zeros, valid,
    st.builds(lambda code: f"sku-{code}", st.one_of(digits, zeros, valid, st.text(max_size=16))),
    st.builds(lambda code: product_of("gtin", code).code, st.one_of(zeros, valid)),
    st.text(max_size=20), st.sampled_from(["", "sku-", "0" * 14, "sku-" + "0" * 8, "plu-4011"]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(codes.filter(lambda code: "\0" not in code), min_size=50, max_size=100))
def test_a_product_is_printed_alike(classes, many):
    """Over some thousands of codes."""
    assert [classes.Products.printed(code) for code in many] == [printed(code) for code in many]


def test_times_are_those_of_the_till_s_own_record(lines_of):
    ((_, value),) = lines_of(canonical(sale(), arrived_ms=T0 + 5))
    assert json.loads(value[1:])[5:8] == [T0, None, T0 + 5]


@pytest.mark.parametrize("changed", [
    lambda raw: raw.decode().encode("utf-16"),
    lambda raw: raw.decode().encode("utf-16-le"),
    lambda raw: b"\xef\xbb\xbf" + raw,
    lambda raw: raw[:-1] + b',"deep":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
    lambda raw: raw + raw,
    lambda raw: raw + b" x",
], ids=["utf-16", "utf-16 without a mark", "mark", "deep", "twice", "more behind it"])  # fmt: skip
def test_what_only_a_lenient_parser_would_take_is_refused_by_both(lines_of, changed):
    raw = changed(canonical(sale()))
    with pytest.raises(InvalidTransaction):
        baskets.read(raw)
    agrees(lines_of, raw)


def test_what_a_cashier_took_out_again_never_left_the_shelf(lines_of):
    payload = of_items(
        Item("sale", COFFEE, 700, 700, 3_000),
        Item("sale", BREAD, 500, 500),
        Item("sale", BREAD, -500, -500, -1_000),
        Item("sale", COFFEE, -233, -233, -1_000),  # one of three
        Item("sale", BANANAS, 300, 300, 1_500),  # half a piece, so no shelf counts it
        Item("sale", BANANAS, -300, -300, -1_500),
    )
    agrees(lines_of, payload)
    moved_ = [read(value).quantity for _, value in lines_of(payload)]
    assert moved_ == [-3, 1]
