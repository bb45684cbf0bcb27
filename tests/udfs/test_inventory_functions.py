"""The inventory job's functions in the harness: documents into lines, lines into stock and actions."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest

from tests.support.batched_harness import BatchedHarness
from tests.support.harness import KeyedHarness
from tests.support.sales import checked, encoded, sale
from tillstream.domain import notice
from tillstream.domain.envelope import seal
from tillstream.domain.receipt.canonical import Item
from tillstream.domain.stock.inventory import InventoryRules
from tillstream.domain.stock.network import Near, Neighbours
from tillstream.state_schemas.keyed import stock
from tillstream.udfs.inventory import StockDocuments, StockLedger
from tillstream.udfs.stage import StageSettings

T0 = 1_764_072_000_000
HOUR_MS = 3_600_000
MILK = "2000000000411"
KEY = f"45/{MILK}"
NEAR = {45: Neighbours((Near(9003, 40),), (Near(46, 3),))}
SETTINGS = StageSettings("inventory")
KINDS = {"moves": "movement", "asks": "request", "promos": "promotion"}


@pytest.fixture
def documents() -> KeyedHarness:
    zones = {45: "Africa/Johannesburg"}
    return KeyedHarness(StockDocuments(SETTINGS, KINDS, (45, 46, 47), zones=zones))


@pytest.fixture
def ledger() -> BatchedHarness:
    return BatchedHarness(StockLedger(SETTINGS, InventoryRules(), NEAR, {}))


def movement(**changes) -> bytes:
    lines = [{"product": MILK, "quantity": 200}, {"product": "2000000000015", "quantity": 3}]
    document = {
        "schema": 1,
        "document_id": "count-0045-1",
        "kind": "count",
        "store": 45,
        "event_time_ms": T0,
        "lines": lines,
    }
    return json.dumps({**document, **changes}).encode()


def sealed(raw: bytes, topic: str = "moves", arrived_ms: int = T0) -> bytes:
    return seal(f"kafka:{topic}/0/7", arrived_ms, raw)


def line(kind: str, name: str, quantity: int, at_ms: int = T0) -> tuple[str, bytes]:
    return KEY, b"L" + json.dumps([kind, name, 45, MILK, quantity, at_ms]).encode()


def test_days_of_demand_begin_at_the_store_s_own_midnight():
    late = T0 + 11 * HOUR_MS  # 23:00 UTC
    for zone, day in (("Africa/Luanda", 1), ("Africa/Abidjan", 0)):
        ledger = BatchedHarness(StockLedger(SETTINGS, InventoryRules(), NEAR, {45: zone}))
        ledger.process(line("sale", "sale-1/1", -1, late))
        (kept,) = ledger.state.values()
        assert stock.decode(kept).demand.day == late // 86_400_000 + day


def test_a_manifest_becomes_a_line_for_each_product(documents):
    rows = documents.process("count-0045-1", sealed(movement()))
    assert [row[0] for row in rows] == [KEY, "45/2000000000015"]
    assert json.loads(rows[0][1][1:])[:6] == ["count", "M:count-0045-1/1", 45, MILK, 200, T0]


def test_another_document_under_an_id_is_told_and_the_same_again_is_not(documents):
    """A count that is put right under the number of the first vanished without a word."""
    first, other = movement(), movement(lines=[{"product": MILK, "quantity": 201}])
    again = json.dumps(dict(reversed(json.loads(first).items())), indent=2).encode()
    assert len(documents.process("count-0045-1", sealed(first))) == 2
    assert len(documents.process("count-0045-1", sealed(again))) == 2  # the ledger knows its lines
    assert not documents.side["dead-letters"]
    assert documents.process("count-0045-1", sealed(other)) == []
    (letter,) = map(json.loads, documents.side["dead-letters"])
    assert (letter["reason"], letter["stage"]) == ("id_conflict", "apply")
    assert base64.b64decode(letter["raw_b64"]) == other
    assert len(documents.process("count-0045-1", sealed(first))) == 2
    assert len(documents.process("count-0045-2", sealed(movement(document_id="count-0045-2")))) == 2


def test_a_mark_that_the_release_before_can_read_takes_any_for_a_repeat():
    kept = SETTINGS._replace(write_versions={"archived_mark": 1})
    documents = KeyedHarness(StockDocuments(kept, KINDS, (45,)))
    assert len(documents.process("count-0045-1", sealed(movement()))) == 2
    assert len(documents.process("count-0045-1", sealed(movement()))) == 2
    assert not documents.side["dead-letters"]


def test_what_was_refused_comes_again_repaired(documents):
    assert documents.process("count-0045-1", sealed(movement(store=9_000))) == []
    assert len(documents.process("count-0045-1", sealed(movement()))) == 2
    assert [json.loads(x)["reason"] for x in documents.side["dead-letters"]] == ["out_of_range"]


def test_a_promotion_reaches_every_store_it_names_or_all(documents):
    announced = {
        "schema": 1,
        "promotion_id": "milk-week-48",
        "revision": 1,
        "status": "planned",
        "products": [MILK],
        "start_ms": T0,
        "end_ms": T0 + 1,
        "uplift_percent": 150,
        "announced_ms": T0,
    }
    everywhere = documents.process("k", sealed(json.dumps(announced).encode(), "promos"))
    assert [row[0] for row in everywhere] == [f"{store}/{MILK}" for store in (45, 46, 47)]
    here = documents.process(
        "k", sealed(json.dumps({**announced, "stores": [46]}).encode(), "promos")
    )
    assert [row[0] for row in here] == [f"46/{MILK}"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "not_json"),
        (movement(kind="lost"), "not_allowed"),
        (movement(store=3000), "out_of_range"),
        (movement(lines=[]), "out_of_range"),
        (movement(kind="write_off"), "not_allowed"),
        (movement(reference=None), "wrong_type"),
        (movement(event_time_ms=T0 + 2 * 86_400_000), "clock_ahead"),
    ],
)
def test_a_document_that_is_none_is_one_dead_letter(documents, raw, reason):
    assert documents.process("k", sealed(raw)) == []
    (letter,) = map(json.loads, documents.side["dead-letters"])
    assert (letter["reason"], letter["job"]) == (reason, "inventory")
    assert base64.b64decode(letter["raw_b64"]) == raw


def test_lines_of_one_batch_follow_on_each_other_and_one_state_is_kept(ledger):
    made = ledger.process(
        line("count", "M:count/1", 10),
        line("sale", "t-1/1", -3, T0 + 1),
        line("sale", "t-1/1", -3, T0 + 1),
        line("sale", "t-2/1", -2, T0 + 2),
    )
    assert [json.loads(entry)["new_quantity"] for entry in made] == [10, 7, 5]
    assert stock.decode(ledger.state[KEY]).level == 5
    (again,) = ledger.process(line("sale", "t-3/1", -1, T0 + 3))
    assert json.loads(again)["mark"] == "tillstream:4:4"


def test_a_duplicate_alone_writes_nothing(ledger):
    ledger.process(line("sale", "t-1/1", -3))
    kept = ledger.state[KEY]
    assert ledger.process(line("sale", "t-1/1", -3)) == []
    assert ledger.state[KEY] is kept


def test_low_stock_goes_out_by_route_and_a_request_is_answered(ledger):
    ledger.process(
        line("plan", "M:plan/1", 200),
        line("count", "M:count/1", 60),
        line("sale", "t/1", -48, T0 + 1),
    )
    sent = [record.partition(b"\n") for record in ledger.side["actions"]]
    routes = [head.partition(b"|")[0].decode() for head, _, _ in sent]
    assert routes == ["requests", "notices", "central", "requests"]
    request = sent[0][2]
    assert json.loads(request)["to"] == 9003
    centre = f"9003/{MILK}"
    ledger.process((centre, b"L" + json.dumps(["count", "M:c/1", 9003, MILK, 500, T0]).encode()))
    ledger.process((centre, b"D" + request))
    assert stock.decode(ledger.state[centre]).level == 500 - 188
    assert ledger.side["actions"][-2].startswith(b"orders|45-2000000000411-000001\n")
    assert ledger.side["actions"][-1].startswith(b"truck_routes|")


def test_a_refused_order_wakes_the_shelf_after_the_hold(ledger):
    ledger.now_ms = T0 + 60_000
    ledger.process(
        line("plan", "M:plan/1", 200),
        line("count", "M:count/1", 60),
        line("sale", "t/1", -60, T0 + 1),
    )
    request = ledger.side["actions"][0].partition(b"\n")[2]
    ledger.process((f"9003/{MILK}", b"D" + request))
    refusal = next(sent for sent in ledger.side["actions"] if b"-refused\n" in sent)
    ledger.process((KEY, b"D" + refusal.partition(b"\n")[2]))
    hold_ms = T0 + 60_000 + 6 * HOUR_MS
    (order_ms,) = {at_ms for at_ms, _ in ledger.timers} - {hold_ms}
    assert order_ms % 1000 == 999
    assert hold_ms <= order_ms < hold_ms + 6 * HOUR_MS
    assert ledger.advance_to(T0 + 60_000 + 6 * HOUR_MS) == []
    again = ledger.side["actions"][-1].partition(b"\n")[2]
    (entry,) = map(json.loads, ledger.process((KEY, b"D" + again)))
    assert (entry["kind"], entry["new_quantity"]) == ("retry", 0)
    assert entry["open_orders"].startswith(f"45-{MILK}-000002:200:")
    assert ledger.side["actions"][-1].startswith(f"requests|45-{MILK}-000002@9003\n".encode())
    assert {at_ms % 1000 for at_ms, _ in ledger.timers} == {999}  # of the order alone
    assert ledger.process((KEY, b"D" + again)) == []


def fill(ledger: BatchedHarness) -> None:
    ledger.process(
        line("plan", "M:plan/1", 200), line("count", "M:count/1", 60), line("sale", "t/1", -60, T0 + 1)
    )  # fmt: skip


def test_a_shelf_that_orders_each_day_of_a_year_has_two_timers_at_the_most(ledger):
    fill(ledger)
    for day in range(1, 366):
        at_ms = T0 + day * (24 * HOUR_MS + 7_919)
        while ledger.timers and (due := min(ledger.timers)[0]) <= at_ms:
            ledger.advance_to(due)
        ledger.now_ms = at_ms
        ledger.process(
            line("count", f"M:count-{day}/1", 190, at_ms), line("sale", f"t-{day}/1", -190, at_ms + 1)
        )  # fmt: skip
        assert len(ledger.timers) <= 2
    assert stock.decode(ledger.state[KEY]).orders > 50


def test_an_order_that_has_expired_wakes_nobody_any_more(ledger):
    fill(ledger)
    ledger.advance_to(T0 + 90 * HOUR_MS)
    assert len(ledger.timers) == 1
    for hours in range(96, 120, 6):
        ledger.advance_to(T0 + hours * HOUR_MS)
    assert ledger.timers == set()


def test_an_order_of_the_release_before_has_a_timer_from_the_shelf_s_next_lines_on(ledger):
    fill(ledger)
    ledger.timers.clear()
    ledger.process(line("sale", "t/2", -1, T0 + 7 * HOUR_MS))
    assert len(ledger.timers) == 1


def test_a_retry_of_the_release_before_that_ends_in_999_is_not_lost(ledger):
    fill(ledger)
    request = ledger.side["actions"][0].partition(b"\n")[2]
    ledger.process((f"9003/{MILK}", b"D" + request))
    refusal = next(sent for sent in ledger.side["actions"] if b"-refused\n" in sent)
    ledger.process((KEY, b"D" + refusal.partition(b"\n")[2]))
    ledger.timers = {(T0 + 6 * HOUR_MS + 12_999, KEY)}
    ledger.advance_to(T0 + 6 * HOUR_MS + 12_999)
    assert b"-retry\n" in ledger.side["actions"][-1]


def refused(ledger: BatchedHarness, raw: bytes) -> list[tuple[str, str]]:
    """Reasons and messages of what the reader in the JVM did not take, or not all of it."""
    came = b"T" + seal("kafka:transactions/0/3", T0, raw)
    assert ledger.process(("~7", came)) == []
    letters = [json.loads(letter) for letter in ledger.side["dead-letters"]]
    assert {letter["origin"] for letter in letters} == {"kafka:transactions/0/3"}
    assert {base64.b64decode(letter["raw_b64"]) for letter in letters} == {raw}
    assert "~7" not in ledger.state
    return [(letter["reason"], letter["message"]) for letter in letters]


@pytest.mark.parametrize("raw", [b"", b"{", b'{"schema":1}', encoded(sale())])
def test_what_is_no_transaction_of_the_front_door_is_one_dead_letter(ledger, raw):
    said = "$ is not a transaction as the front door writes them"
    assert refused(ledger, raw) == [("not_canonical", said)]


def of_items(*items: Item) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(checked(sale()), lines=items))


def test_parts_of_pieces_are_one_dead_letter_that_names_the_lines(ledger):
    half = Item("sale", "sku-7", 500, 500, 512)
    raw = of_items(Item("sale", "sku-7", 500, 500), half, half)
    said = "$.lines[1], $.lines[2]: a part of a piece cannot be counted"
    assert refused(ledger, raw) == [("fraction_of_a_piece", said)]


def test_more_than_can_be_counted_is_one_dead_letter(ledger):
    raw = of_items(Item("sale", "sku-7", 500, 500, 2**31, "kg"))
    said = "$.lines[0]: more than 2147483647 units of stock"
    assert refused(ledger, raw) == [("out_of_range", said)]


@pytest.mark.parametrize("form", ["6001240100035", "06001240100035"])
def test_5_sold_by_ean_13_and_48_delivered_by_any_form_are_one_shelf(documents, ledger, form):
    lines = [{"product": form, "quantity": 48}]
    delivery = movement(kind="delivery", document_id="delivery-1", lines=lines)
    ledger.process(*documents.process("delivery-1", sealed(delivery)))
    shelf = "6001240100035"
    sold = b"L" + json.dumps(["sale", "t/1", 45, shelf, -5, T0 + 1, None, T0, "each"]).encode()
    (entry,) = map(json.loads, ledger.process((f"45/{shelf}", sold)))
    assert (entry["stock_key"], entry["new_quantity"]) == (f"45/{shelf}", 43)
    assert list(ledger.state) == [f"45/{shelf}"]


def test_promotions_and_requests_find_the_shelf_by_any_form(documents):
    announced = {
        "schema": 1, "promotion_id": "bread-week-48", "revision": 1, "status": "planned",
        "products": ["06001240100035", "00040112"], "stores": [45], "start_ms": T0,
        "end_ms": T0 + 1, "uplift_percent": 150, "announced_ms": T0,
    }  # fmt: skip
    asked = {
        "type": "request", "request_id": "45-plu-4011-000001@9003", "ask": "order", "to": 9003,
        "asked_by": 45, "product": "06001240100035", "order_id": "45-plu-4011-000001",
        "quantity": 5, "event_time_ms": T0, "emergency": False,
    }  # fmt: skip

    def keys(document, topic):
        return [
            row[0] for row in documents.process("k", sealed(json.dumps(document).encode(), topic))
        ]

    assert keys(announced, "promos") == ["45/6001240100035", "45/plu-4011"]
    assert keys(asked, "asks") == ["9003/6001240100035"]
    assert keys(asked | {"product": "plu-4011"}, "asks") == ["9003/plu-4011"]


def test_bananas_are_counted_sold_and_ordered_in_grams(documents, ledger):
    def counted(**of):
        number = f"{of['kind']}-bananas"
        lines = [{"product": "plu-04011", "quantity": of.pop("quantity")}]
        made = sealed(movement(document_id=number, lines=lines, **of))
        return ledger.process(*documents.process(number, made))

    counted(kind="plan", quantity=20_000)
    (count,) = map(json.loads, counted(kind="count", quantity=6_000))
    assert (count["stock_key"], count["new_quantity"]) == ("45/plu-4011", 6_000)
    assert "unit" not in count  # a document does not say it
    sold = json.dumps(["sale", "t/1", 45, "plu-4011", -1_512, T0 + 1, None, T0, "kg"]).encode()
    (entry,) = map(json.loads, ledger.process(("45/plu-4011", b"L" + sold)))
    assert (entry["unit"], entry["moved"], entry["new_quantity"]) == ("kg", -1_512, 4_488)
    request = ledger.side["actions"][-1].partition(b"\n")[2]
    assert json.loads(request)["order_id"] == "45-plu-4011-000001"
    (asked,) = documents.process("k", sealed(request, "asks"))
    assert asked[0] == "9003/plu-4011"
    order = {"product": "plu-4011", "quantity": 15_512, "order_id": "45-plu-4011-000001"}
    came = movement(kind="delivery", document_id="delivery-1", lines=[order], event_time_ms=T0 + 2)
    (entry,) = map(json.loads, ledger.process(*documents.process("d", sealed(came))))
    assert (entry["new_quantity"], entry["on_order"]) == (20_000, 0)


@pytest.mark.parametrize("product", ["name-brötchen ~ 6", 'sku-"\\|/', "sku-" + "🍞" * 64])
def test_a_shelf_of_any_product_is_kept_and_nobody_is_asked_to_count_what_no_document_can_name(
    ledger, product
):
    key = f"45/{product}"
    for n in range(2):
        sold = ["sale", f"POS.4:2026/{n}", 45, product, -1, T0 + n, None, T0, "each"]
        ledger.process((key, b"L" + json.dumps(sold).encode()))
    assert not ledger.side["actions"]
    assert not ledger.side["stores"]
    assert stock.decode(ledger.state[key]).level == -2


def test_a_count_whose_clock_was_far_behind_is_reported_once_with_the_fix(documents):
    behind = sealed(movement(), arrived_ms=T0 + 25 * HOUR_MS)
    for _ in range(2):
        assert len(documents.process("count-0045-1", behind)) == 2  # it is applied all the same
    (told,) = [notice.parse(one.partition(b"\n")[2]) for one in documents.side["actions"]]
    assert told.notice_id == "count_behind:store:45:count-0045-1"
    assert told.params["counted_at"] == "2025-11-25 14:00"  # by the store's clocks
    assert told.params["came_at"] == "2025-11-26 15:00"
    assert told.params["fix"].startswith("if the clock was wrong, set it")
    documents.process("count-0045-2", sealed(movement(document_id="count-0045-2")))
    late = movement(document_id="delivery-1", kind="delivery")
    documents.process("delivery-1", sealed(late, arrived_ms=T0 + 25 * HOUR_MS))
    assert len(documents.side["actions"]) == 1


@pytest.mark.parametrize("quantity", [0, 2**31 - 1, 1 - 2**31])
@pytest.mark.parametrize("kind", ["sale", "refund", "void"])
def test_any_quantity_that_is_counted_is_kept(ledger, kind, quantity):
    days = [line(kind, f"t/{n}", quantity, T0 + n * 24 * HOUR_MS) for n in range(9)]
    entries = [json.loads(entry) for entry in ledger.process(*days)]
    assert entries[-1]["new_quantity"] == 9 * quantity
    assert all(abs(value) < 2**63 for value in entries[-1].values() if type(value) is int)
    assert not ledger.side["dead-letters"]


def test_a_document_that_names_a_bundle_is_a_dead_letter_that_says_what_to_do():
    pack = "6001240200018"
    kinds = {"moves": "movement", "promos": "promotion"}
    made = KeyedHarness(StockDocuments(SETTINGS, kinds, (45,), bundles={pack}))
    lines = [{"product": MILK, "quantity": 1}, {"product": f"0{pack}", "quantity": 2}]
    assert made.process("d", sealed(movement(document_id="delivery-1", lines=lines), "moves")) == []
    (letter,) = map(json.loads, made.side["dead-letters"])
    assert letter["reason"] == "not_allowed"
    assert letter["message"].startswith("$.lines[1].product is a bundle (reference.bundles)")
    assert letter["message"].endswith("name its products")
    announced = {
        "schema": 1, "promotion_id": "bread-week-48", "revision": 1, "status": "planned",
        "products": [pack, MILK], "stores": [45], "start_ms": T0, "end_ms": T0 + 1,
        "uplift_percent": 150, "announced_ms": T0,
    }  # fmt: skip
    rows = made.process("p", sealed(json.dumps(announced).encode(), "promos"))
    assert [row[0] for row in rows] == [KEY]
