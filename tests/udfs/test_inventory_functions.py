"""The inventory job's functions in the harness: documents into lines, lines into stock and actions."""

from __future__ import annotations

import base64
import json

import pytest

from tests.support.batched_harness import BatchedHarness
from tests.support.harness import KeyedHarness
from tillstream.domain.envelope import seal
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
    return KeyedHarness(StockDocuments(SETTINGS, KINDS, (45, 46, 47)))


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
    assert ledger.timers == {(T0 + 60_000 + 6 * HOUR_MS, KEY)}
    assert ledger.advance_to(T0 + 60_000 + 6 * HOUR_MS) == []
    again = ledger.side["actions"][-1].partition(b"\n")[2]
    (entry,) = map(json.loads, ledger.process((KEY, b"D" + again)))
    assert (entry["kind"], entry["new_quantity"]) == ("retry", 0)
    assert entry["open_orders"].startswith(f"45-{MILK}-000002:200:")
    assert ledger.side["actions"][-1].startswith(f"requests|45-{MILK}-000002@9003\n".encode())
    assert ledger.timers == set()
    assert ledger.process((KEY, b"D" + again)) == []


def test_a_transaction_the_reader_did_not_take_is_one_dead_letter_and_says_why(ledger):
    assert ledger.process(("~7", b"T" + seal("kafka:tills/0/3", T0, b'{"schema":1}'))) == []
    (letter,) = map(json.loads, ledger.side["dead-letters"])
    assert (letter["reason"], letter["origin"]) == ("missing_field", "kafka:tills/0/3")
    assert "~7" not in ledger.state
