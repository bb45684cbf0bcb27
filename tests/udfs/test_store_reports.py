"""What a store hears of all its shelves together: never counted, too late."""

from __future__ import annotations

import json

from tests.support.batched_harness import BatchedHarness
from tests.udfs.test_inventory_functions import HOUR_MS, KEY, MILK, NEAR, SETTINGS, T0, line
from tillstream.domain import notice
from tillstream.domain.stock.inventory import InventoryRules
from tillstream.domain.stock.store_day import ReportRules
from tillstream.udfs.inventory import StockLedger
from tillstream.udfs.stock_reports import StoreReports


def test_what_was_never_counted_alerts_nobody_by_itself_and_its_store_once_a_day():
    """In a fresh chain 92 % of the lines made an alert each."""
    ledger = BatchedHarness(StockLedger(SETTINGS, InventoryRules(), NEAR, {45: "Africa/Luanda"}))
    stores = BatchedHarness(StoreReports(SETTINGS, ReportRules(6), {45: "Africa/Luanda"}))
    stores.now_ms = T0
    products = [f"20000000{n:05d}" for n in range(1_000)]
    for n, product in enumerate(products):
        sold = [["sale", f"t-{m}/{n}", 45, product, -1, T0 + m, None, T0 + m, "each"]
                for m in range(1 + n % 50)]  # fmt: skip
        ledger.process(*[(f"45/{product}", b"L" + json.dumps(one).encode()) for one in sold])
    count = ["count", "M:count-0045-1/1", 45, products[49], 12, T0 + 90]
    ledger.process((f"45/{products[49]}", b"L" + json.dumps(count).encode()))
    assert ledger.side["actions"] == []
    news = [one.partition(b"\n") for one in ledger.side["stores"]]
    assert len(news) < 5 * 1_000
    for key, _, body in news:
        stores.process((key.decode(), body))
    six = 1_764_133_200_000  # 2025-11-26 06:00 in Luanda
    assert stores.timers == {(six, "45")}
    assert stores.advance_to(six - 1) == []
    (told,) = stores.advance_to(six)
    head, _, body = told.partition(b"\n")
    assert head == b"notices|store:45"
    found = notice.parse(body)
    assert found.notice_id == "never_counted:store:45:45-2025-11-25"
    assert (found.params["shelves"], found.params["day"]) == (999, "2025-11-25")
    named = found.params["products"].split(", ")
    assert len(named) == 20
    assert products[49] not in named
    assert {int(product[-5:]) % 50 for product in named} <= set(range(31, 50))
    assert stores.advance_to(six + 48 * HOUR_MS) == []


def test_what_came_too_late_is_told_once_for_each_document_and_once_a_day_for_tills():
    ledger = BatchedHarness(StockLedger(SETTINGS, InventoryRules(), NEAR, {}))
    stores = BatchedHarness(
        StoreReports(SETTINGS, ReportRules(6), {45: "Africa/Nairobi"}), now_ms=T0
    )
    old = T0 - 9 * 24 * HOUR_MS
    for n, product in enumerate([MILK, "2000000000015"], start=1):

        def of(kind, name, quantity, at_ms, product=product):
            return f"45/{product}", b"L" + json.dumps(
                [kind, name, 45, product, quantity, at_ms, None, T0]
            ).encode()

        ledger.process(of("count", f"M:count-0045-1/{n}", 100, T0))
        (entry,) = map(json.loads, ledger.process(of("count", f"M:count-0045-0/{n}", 7, old)))
        assert (entry["outcome"], entry["new_quantity"]) == ("too_late", 100)
        ledger.process(of("sale", f"t/{n}", -1, old))
    for one in ledger.side["stores"]:
        key, _, body = one.partition(b"\n")
        stores.process((key.decode(), body))
    (told,) = [notice.parse(one.partition(b"\n")[2]) for one in stores.main]
    assert told.notice_id == "document_too_late:store:45:count-0045-0"
    assert told.params == {
        "document_id": "count-0045-0", "kind": "count", "at": "2025-11-16 15:00",
        "fix": "count again under another document_id",
    }  # fmt: skip
    ((at_ms, _),) = stores.timers
    (told,) = stores.advance_to(at_ms)
    found = notice.parse(told.partition(b"\n")[2])
    assert (found.template, found.params["lines"]) == ("sales_too_late", 2)


def test_grams_of_bananas_do_not_outsell_pieces_of_bread():
    stores = BatchedHarness(
        StoreReports(SETTINGS, ReportRules(6), {45: "Africa/Nairobi"}), now_ms=T0
    )
    ledger = BatchedHarness(StockLedger(SETTINGS, InventoryRules(), NEAR, {}))
    for n, (product, units, unit) in enumerate(
        [("plu-4011", -1_512, "kg"), (MILK, -3, "each"), ("2000000000015", -1, "each")]
    ):
        sold = ["sale", f"t/{n}", 45, product, units, T0, None, T0, unit]
        ledger.process((f"45/{product}", b"L" + json.dumps(sold).encode()))
    stores.process(*[("45", one.partition(b"\n")[2]) for one in ledger.side["stores"]])
    ((at_ms, _),) = stores.timers
    (told,) = stores.advance_to(at_ms)
    found = notice.parse(told.partition(b"\n")[2])
    assert found.params["products"] == f"{MILK}, plu-4011, 2000000000015"


def test_a_replay_tells_nobody_of_days_long_past():
    stores = BatchedHarness(StoreReports(SETTINGS, ReportRules(6), {}), now_ms=T0 + 90 * HOUR_MS)
    ledger = BatchedHarness(StockLedger(SETTINGS, InventoryRules(), NEAR, {}))
    ledger.process(line("sale", "t-1/1", -3))
    stores.process(*[("45", one.partition(b"\n")[2]) for one in ledger.side["stores"]])
    assert stores.timers == set()
    assert stores.advance_to(T0 + 200 * HOUR_MS) == []


def late_sale(ledger: BatchedHarness, newest_ms: int, arrived_ms: int) -> list[tuple[str, bytes]]:
    """News of a sale 9 days before the newest line of a shelf, which came at ``arrived_ms``."""
    ledger.process(line("count", "M:count-1/1", 100, newest_ms))
    late = ["sale", "t/late", 45, MILK, -1, newest_ms - 9 * 24 * HOUR_MS, None, arrived_ms]
    ledger.process((KEY, b"L" + json.dumps(late).encode()))
    return [("45", one.partition(b"\n")[2]) for one in ledger.side["stores"]]


def test_a_line_too_late_of_a_shelf_that_has_sold_nothing_for_days_is_told_the_day_after_it_came():
    ledger = BatchedHarness(StockLedger(SETTINGS, InventoryRules(), NEAR, {}))
    stores = BatchedHarness(
        StoreReports(SETTINGS, ReportRules(6), {45: "Africa/Nairobi"}), now_ms=T0
    )
    stores.process(*late_sale(ledger, T0 - 5 * 24 * HOUR_MS, T0))
    ((at_ms, _),) = stores.timers
    (told,) = stores.advance_to(at_ms)
    found = notice.parse(told.partition(b"\n")[2])
    assert found.notice_id == "sales_too_late:store:45:45-2025-11-25"


def test_a_line_that_came_too_late_days_ago_is_told_to_nobody_in_a_replay():
    ledger = BatchedHarness(StockLedger(SETTINGS, InventoryRules(), NEAR, {}))
    stores = BatchedHarness(StoreReports(SETTINGS, ReportRules(6), {}), now_ms=T0 + 90 * HOUR_MS)
    stores.process(*late_sale(ledger, T0, T0))
    assert stores.timers == set()


def test_a_day_is_not_told_before_the_job_has_read_what_came_while_it_was_away():
    stores = BatchedHarness(
        StoreReports(SETTINGS, ReportRules(6), {45: "Africa/Nairobi"}), now_ms=T0
    )
    ledger = BatchedHarness(StockLedger(SETTINGS, InventoryRules(), NEAR, {}))
    for n, product in enumerate([MILK, "2000000000015"]):
        sold = ["sale", f"t/{n}", 45, product, -1, T0, None, T0, "each"]
        ledger.process((f"45/{product}", b"L" + json.dumps(sold).encode()))
    first, second = [("45", one.partition(b"\n")[2]) for one in ledger.side["stores"]]
    stores.process(first)
    ((due_ms, _),) = stores.timers
    back_ms = due_ms + 3 * HOUR_MS
    assert stores.advance_to(back_ms) == []
    stores.process(second)
    (told,) = stores.advance_to(back_ms + HOUR_MS)
    found = notice.parse(told.partition(b"\n")[2])
    assert found.params["shelves"] == 2


def test_a_day_of_which_the_job_is_a_day_behind_is_told_to_nobody_and_forgotten():
    stores = BatchedHarness(
        StoreReports(SETTINGS, ReportRules(6), {45: "Africa/Nairobi"}), now_ms=T0
    )
    ledger = BatchedHarness(StockLedger(SETTINGS, InventoryRules(), NEAR, {}))
    ledger.process(line("sale", "t/1", -1))
    stores.process(*[("45", one.partition(b"\n")[2]) for one in ledger.side["stores"]])
    assert stores.advance_to(T0 + 90 * HOUR_MS) == []
    assert stores.advance_to(T0 + 91 * HOUR_MS) == []
    assert stores.timers == set()


def test_a_store_that_no_document_can_name_is_not_asked_to_count():
    ledger = BatchedHarness(StockLedger(SETTINGS, InventoryRules(), NEAR, {}))
    for store in (2900, 2901, 9000):
        sold = ["sale", "t/1", store, MILK, -1, T0, None, T0, "each"]
        late = ["sale", "t/2", store, MILK, -1, T0 - 9 * 24 * HOUR_MS, None, T0, "each"]
        for one in (sold, late):
            ledger.process((f"{store}/{MILK}", b"L" + json.dumps(one).encode()))
    assert [one.partition(b"\n")[0] for one in ledger.side["stores"]] == [b"2900", b"2900"]
