"""The sales job's windows on a mini cluster: a till whose clock is ahead closes none for the others."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pyflink.common import Duration, Row, Types, WatermarkStrategy
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.file_system import FileSource, StreamFormat
from pyflink.util.java_utils import to_jarray

from tests.support.collected import collected
from tests.support.engine import engine, stopped
from tests.support.sales import (
    PRODUCT,
    T0,
    canonical,
    checked,
    encoded,
    line,
    refund,
    sale,
    void,
)
from tillstream.conf import load
from tillstream.connectors import tracking
from tillstream.connectors.gateway import java, ours
from tillstream.domain.envelope import seal
from tillstream.domain.receipt.canonical import Item, TaxOf
from tillstream.udfs.engine import BYTES

ROW = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
MINUTE_MS = 60_000
BREAD = "06001240100035"
NO_REVENUE = ("deposit", "bottle_return", "fee", "gift_card", "agency", "coupon")


def slowly(row: Row) -> Row:
    time.sleep(0.02)  # so that watermarks come between the records
    return row


def windows(sales: list[tuple[dict[str, Any], int]]) -> list[dict[str, Any]]:
    """What (sale, arrived_ms) come to by the minute."""
    return additions(
        [(sold["transaction_id"], canonical(sold, arrived_ms=at), at) for sold, at in sales]
    )


def additions(
    received: list[tuple[str, bytes, int]], of_taxes: bool = False
) -> list[dict[str, Any]]:
    """What (id, bytes, when they came into the front door's topic) come to by the minute; taxes by the
    hour."""
    env = engine(**{"pipeline.auto-watermark-interval": "1 ms", "execution.buffer-timeout": "0 ms"})
    rows = [
        Row(identity, seal(f"kafka:transactions/0/{n}", arrived_ms, raw))
        for n, (identity, raw, arrived_ms) in enumerate(received)
    ]
    slow = env.from_collection(rows, ROW).map(slowly, ROW)
    lines, taxes = tracking.tracked(slow, load("local", {}))
    if of_taxes:
        made = tracking.tax_additions(taxes, 60 * MINUTE_MS, "taxes")
    else:
        made = tracking.additions(lines, MINUTE_MS, {PRODUCT: 1_000}, "minutes")
    return [json.loads(value) for value in collected(made)]


def sold(number: int, at_ms: int) -> dict[str, Any]:
    return sale(f"0045-03-20251124-{number:06d}", at_ms)


def receipt(number: int, *items: Item, **changes: Any) -> tuple[str, bytes, int]:
    made = checked(sold(number, T0))
    made = msgspec.structs.replace(made, lines=items, **changes)
    return made.transaction_id, msgspec.json.encode(made), T0


def figures(made: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """shelf, currency, unit, lines, sold, returned, sold_cents, returned_cents, lowest, highest."""
    names = ("shelf", "currency", "unit", "lines", "sold", "returned", "sold_cents",
             "returned_cents", "lowest_price_cents", "highest_price_cents")  # fmt: skip
    return sorted(tuple(one[name] for name in names) for one in made)


def test_figures_of_contract_v1_are_what_they_were():
    lines = [line(PRODUCT, 3, 1_000, "bakery"), line("2000000000411", 1, 2_199, "dairy")]
    dearer = [line(PRODUCT, 1, 1_200, "bakery")]
    of = "0045-03-20251124-000001"
    made = windows(
        [(sale(of, lines=lines), T0),
         (sale("0045-03-20251124-000002", lines=dearer), T0),
         (refund("0045-03-20251124-000003", of, lines=lines[:1]), T0),
         (void("0045-03-20251124-000004", of, lines=lines), T0),
         (sale(of, lines=lines), T0)]
    )  # fmt: skip
    assert figures(made) == [
        ("45/2000000000411", "ZAR", "each", 2, 1, 1, 2_199, 2_199, 2_199, 2_199),
        (f"45/{PRODUCT}", "ZAR", "each", 4, 4, 6, 4_200, 6_000, 1_000, 1_200),
    ]
    assert [(one["store"], one["list_price_cents"], one["off_list"]) for one in made] == [
        (45, *((1_000, True) if one["product"] == PRODUCT else (None, False))) for one in made
    ]


V1 = [
    sale("s1", pieces=2, cents=2_000),
    refund("r1", "s1"),
    void("v1", "r1"),
    void("v1", "r1"),  # again
]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (2, 1, 0, 3), (2, 0, 1, 1)], ids=str)
def test_a_void_of_a_refund_of_contract_v1_leaves_the_goods_sold(order):
    made = windows([(V1[n], T0 + at) for at, n in enumerate(order)])
    (shelf,) = figures(made)
    assert shelf == (f"45/{PRODUCT}", "ZAR", "each", 3, 3, 1, 3_000, 1_000, 1_000, 1_000)


def test_a_void_of_contract_v1_counts_once_and_undoes_what_its_receipt_did():
    other, unknown = sale("s2"), void("v3", "s0")
    sent = [*V1, other, void("v2", "s2"), unknown, unknown, other, void("v2", "s2")]
    (shelf,) = figures(windows([(one, T0 + at) for at, one in enumerate(sent)]))
    assert shelf[3:8] == (6, 4, 3, 4_000, 3_000)


def test_a_void_that_came_late_is_put_right_in_its_own_window():
    early, late = T0, T0 + 30 * MINUTE_MS
    others = [(sold(n, late + n), late + n) for n in range(100, 120)]
    undone = void("v1", "r1", event_time_ms=early)
    back = refund("r1", "s1", event_time_ms=late)
    made = [one for one in windows([(undone, early), *others, (back, late + 200)])
            if one["window_start_ms"] < late - MINUTE_MS]  # fmt: skip
    names = ("lines", "sold", "returned", "sold_cents", "returned_cents")
    assert [sum(one[name] for one in made) for name in names] == [1, 1, 0, 1_000, 0]
    assert [one["late"] for one in made] == [False, True, True]


def test_revenue_is_what_was_paid_for_goods_alone():
    made = additions(
        [receipt(
            1,
            Item("sale", BREAD, 3_000, 2_700, 3_000),
            Item("sale", BREAD, 2_000, 1_800, 2_000, list_price=1_050),
            Item("return", BREAD, -1_000, -900, -1_000, back_to="waste"),
            Item("sale", "plu-4011", 1_024, 1_000, 512, "kg"),
            *(Item(kind, BREAD, 500, 450) for kind in NO_REVENUE),
            Item("coupon", "", -500, -500),
            Item("sale", "", 700, 700),  # of no product, so on no shelf
            Item("return", "", -300, -300, -1_000, back_to="shelf"),
        )]
    )  # fmt: skip
    assert figures(made) == [
        ("45/6001240100035", "ZAR", "each", 3, 5, 1, 4_500, 900, 1_000, 1_050),
        ("45/plu-4011", "ZAR", "kg", 1, 512, 0, 1_000, 0, 2_000, 2_000),
    ]


def test_a_void_takes_back_what_its_receipt_sold_and_brought_back():
    exchange = (
        Item("sale", BREAD, 3_000, 3_000, 3_000),
        Item("return", "sku-7", -500, -500, -1_000, back_to="shelf"),
    )
    undone = (
        Item("sale", BREAD, -3_000, -3_000, -3_000),
        Item("return", "sku-7", 500, 500, 1_000, back_to="shelf"),
    )
    made = additions([receipt(1, *exchange), receipt(2, *undone, kind="void")])
    assert figures(made) == [
        ("45/6001240100035", "ZAR", "each", 2, 3, 3, 3_000, 3_000, 1_000, 1_000),
        ("45/sku-7", "ZAR", "each", 2, 1, 1, 500, 500, 500, 500),
    ]


def test_what_a_cashier_took_out_again_was_neither_sold_nor_returned():
    made = additions(
        [receipt(
            1,
            Item("sale", BREAD, 1_000, 1_000, list_price=990),
            Item("sale", "sku-7", 700, 700, 3_000),
            Item("sale", BREAD, 1_000, 1_000),
            Item("sale", BREAD, -1_000, -1_000, -1_000),  # one of the two breads
            Item("sale", "sku-7", -233, -233, -1_000),  # one of three
            Item("sale", "sku-8", 500, 500, list_price=400),
            Item("sale", "sku-8", -500, -500, -1_000),  # all there was
            Item("return", "sku-9", -300, -300, -1_000),
            Item("return", "sku-9", -300, -300, -1_000),
            Item("return", "sku-9", 300, 300, 1_000),  # only one came back
        )]
    )  # fmt: skip
    assert figures(made) == [
        ("45/6001240100035", "ZAR", "each", 1, 1, 0, 1_000, 0, 990, 990),
        ("45/sku-7", "ZAR", "each", 1, 2, 0, 467, 0, 233, 233),
        ("45/sku-9", "ZAR", "each", 1, 0, 1, 0, 300, 300, 300),
    ]


def test_the_void_of_a_receipt_with_a_correction_takes_back_what_it_sold():
    lines = (
        Item("sale", "sku-7", 700, 700, 3_000),
        Item("sale", "sku-7", -233, -233, -1_000),
        Item("sale", BREAD, 500, 500),
        Item("sale", BREAD, -500, -500, -1_000),
    )
    back = tuple(
        msgspec.structs.replace(
            line, amount=-line.amount, paid=-line.paid, thousandths=-line.thousandths
        )
        for line in lines
    )
    made = additions([receipt(1, *lines), receipt(2, *back, kind="void")])
    assert figures(made) == [("45/sku-7", "ZAR", "each", 2, 2, 2, 467, 467, 233, 233)]


def test_tax_adds_up_by_store_day_currency_code_and_rate():
    standard = TaxOf("S", 1_500, "15", net=10_000)
    bread = Item("sale", BREAD, 11_500, 11_500)
    odd = TaxOf('ä"|', 7)
    made = additions(
        [receipt(1, bread, taxes=(standard, TaxOf("Z", 0, "0", net=2_000))),
         receipt(2, bread, taxes=(standard, odd)),
         receipt(1, bread, taxes=(standard,)),  # again
         receipt(3, bread, kind="void", taxes=(TaxOf("S", -500, "15", net=None),)),
         receipt(4, bread, taxes=(TaxOf("S", 9, "15", True, 60),), currency="BWP"),
         receipt(5, bread, taxes=(TaxOf("S", 2, "15", net=13),), business_day="2025-11-23")],
        of_taxes=True,
    )  # fmt: skip
    names = ("store_day", "currency", "code", "rate", "added", "receipts", "tax_cents", "net_cents",
             "receipts_without_net")  # fmt: skip
    assert sorted(tuple(one[name] for name in names) for one in made) == [
        ("45/2025-11-23", "ZAR", "S", "15", False, 1, 2, 13, 0),
        ("45/2025-11-24", "BWP", "S", "15", True, 1, 9, 60, 0),
        ("45/2025-11-24", "ZAR", "S", "15", False, 3, 2_500, 20_000, 1),
        ("45/2025-11-24", "ZAR", "Z", "0", False, 1, 0, 2_000, 0),
        ("45/2025-11-24", "ZAR", 'ä"|', "", False, 1, 7, 0, 1),
    ]
    assert {one["window_ms"] for one in made} == {3_600_000}
    assert {one["window_start_ms"] for one in made} == {T0 - T0 % 3_600_000}


def test_taxes_that_are_none_keep_no_line_from_its_sum():
    made = json.loads(receipt(1, Item("sale", BREAD, 500, 500))[1])
    odd = (
        7,
        [7, None, {"code": 1}, {"code": "S", "amount": 2**70}, {"amount": [1, {}]}],
        {"code": "S"},
    )
    raw = [
        (str(n), json.dumps(made | {"taxes": taxes, "business_day": 7}).encode(), T0)
        for n, taxes in enumerate(odd)
    ]
    assert [one["sold"] for one in additions(raw)] == [3]


def test_one_product_in_two_currencies_and_units_is_not_one_sum():
    ham = 'sku-a/b|c"ä'
    made = additions(
        [receipt(1, Item("sale", ham, 900, 900), Item("sale", ham, 450, 450, 250, "kg")),
         receipt(2, Item("sale", ham, 700, 700), currency="BWP")]
    )  # fmt: skip
    shelf = f"45/{ham}"
    assert figures(made) == [
        (shelf, "BWP", "each", 1, 1, 0, 700, 0, 700, 700),
        (shelf, "ZAR", "each", 1, 1, 0, 900, 0, 900, 900),
        (shelf, "ZAR", "kg", 1, 250, 0, 450, 0, 1_800, 1_800),
    ]
    assert {(one["store"], one["product"]) for one in made} == {(45, ham)}


def test_odd_lines_count_as_they_are_and_stop_nothing():
    made = additions(
        [receipt(1, Item("sale", "sku-1", 500, 450, 0), Item("sale", "", 300, 300)),
         receipt(2, Item("sale", "sku-2", 100, -50), Item("sale", "sku-3", 999, 999, 512)),
         receipt(3, *[Item("sale", "sku-4", 1, 1)] * 1_000),
         receipt(4),
         ("x", b'{"transaction_id":"x"}', T0),
         ("0045-03-20251124-000009", encoded(sold(9, T0)), T0)]
    )  # fmt: skip
    assert figures(made) == [
        ("45/sku-1", "ZAR", "each", 1, 0, 0, 450, 0, 500, 500),
        ("45/sku-2", "ZAR", "each", 1, 1, 0, -50, 0, 100, 100),
        ("45/sku-3", "ZAR", "each", 1, 0, 0, 999, 0, 1_951, 1_951),
        ("45/sku-4", "ZAR", "each", 1_000, 1_000, 0, 1_000, 0, 1, 1),
    ]


@pytest.mark.parametrize("key", ["45/6001240100035", "45/6001240100035|ZAR|each"])
def test_a_window_of_a_savepoint_of_0_1_0_comes_out_without_a_currency(classes, key):
    tracking_class = classes.SalesTracking._java_lang_class
    (addition,) = [m for m in tracking_class.getDeclaredMethods() if m.getName() == "json"]
    addition.setAccessible(True)
    sums = to_jarray(java().long, [1, 2, 0, 2_000, 0, 1_000, 1_000])
    arguments = [sums, key, T0, MINUTE_MS, java().java.util.HashMap(), False]
    made = json.loads(bytes(addition.invoke(None, to_jarray(java().Object, arguments))))
    assert (made["shelf"], made["product"]) == ("45/6001240100035", "6001240100035")
    assert (made["currency"], made["unit"]) == ("ZAR" if "|" in key else None, "each")


def test_a_till_a_little_ahead_makes_no_other_late():
    ahead_ms = 4 * MINUTE_MS
    others = [(sold(n, T0 + n), T0 + n) for n in range(100, 120)]
    made = windows([(sold(1, T0 + ahead_ms), T0), *others])
    assert sorted((one["window_start_ms"] - T0, one["lines"], one["late"]) for one in made) == [
        (0, 20, False),
        (ahead_ms, 1, False),
    ]


def test_what_is_no_transaction_is_not_remembered():
    identity, raw, _ = receipt(1, Item("sale", BREAD, 500, 500))
    made = additions([(identity, raw[:-1], T0), (identity, raw, T0 + 10)])
    assert [(one["window_start_ms"], one["lines"]) for one in made] == [(T0 - T0 % MINUTE_MS, 1)]


def quiet(env: StreamExecutionEnvironment, folder: Path) -> DataStream:
    """Two sales, then nothing more from a source that does not end; idle after 0.2 s."""
    (folder / "sales").write_text("1\n2\n")
    lines = FileSource.for_record_stream_format(
        StreamFormat.text_line_format(), str(folder / "sales")
    )
    source = lines.monitor_continuously(Duration.of_seconds(1)).build()
    times = WatermarkStrategy.for_monotonous_timestamps().with_idleness(Duration.of_millis(200))

    def sealed(line: str) -> Row:
        one = sold(int(line), T0)
        return Row(one["transaction_id"], seal(f"kafka:tills/0/{line}", T0, canonical(one)))

    rows = env.from_source(source, times, "quiet").uid("quiet").map(sealed, ROW)
    return DataStream(ours().EndOfTime.behind(rows._j_data_stream))


@pytest.mark.parametrize("drain", [True, False])
def test_only_a_drain_closes_the_windows_of_a_quiet_source(drain, tmp_path):
    env = engine(**{"pipeline.auto-watermark-interval": "1 ms"})
    read, made = tmp_path / "read", tmp_path / "made"

    def told(row: Row) -> Row:
        with read.open("a") as file:
            file.write(f"{row[0]}\n")
        return row

    def kept(value: bytes) -> bytes:
        with made.open("ab") as file:
            file.write(value + b"\n")
        return value

    rows = quiet(env, tmp_path).map(told, ROW)
    lines = tracking.tracked(rows, load("local", {})).lines
    tracking.additions(lines, MINUTE_MS, {PRODUCT: 1_000}, "minutes").map(kept, BYTES).print()
    job = env.execute_async()
    while not read.exists() or read.read_text().count("\n") < 2:
        time.sleep(0.1)
    time.sleep(1)  # idle
    assert not made.exists()
    stopped(job, f"file://{tmp_path}/saved", drain)
    job.get_job_execution_result().result()
    found = made.read_text().splitlines() if made.exists() else []
    assert [json.loads(line)["lines"] for line in found] == ([2] if drain else [])
