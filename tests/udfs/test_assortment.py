"""Stores that close and products that leave the range: nothing is ordered, nobody is alerted."""

from __future__ import annotations

import json

import pytest

from tests.support.batched_harness import BatchedHarness
from tests.udfs.test_inventory_functions import HOUR_MS, KEY, MILK, NEAR, SETTINGS, T0, line
from tillstream.domain import notice
from tillstream.domain.envelope import seal, unseal
from tillstream.domain.stock import assortment
from tillstream.domain.stock.assortment import Range
from tillstream.domain.stock.inventory import InventoryRules
from tillstream.state_schemas.keyed import stock
from tillstream.udfs.inventory import StockLedger

COUNTRIES = {45: "ZA", 46: "ZA", 47: "ZM"}


def ledger(kept: dict[str, bytes] | None = None) -> BatchedHarness:
    made = StockLedger(SETTINGS, InventoryRules(), NEAR, {}, COUNTRIES)
    return BatchedHarness(made, kept, now_ms=T0)


def order(action: str, number: int = 1, from_ms: int = T0, arrived_ms: int = T0, **scope) -> bytes:
    document = {
        "schema": 1, "assortment_id": f"range-{number:04d}", "action": action, "from_ms": from_ms,
        "by": "team:range",
    }  # fmt: skip
    return seal(f"kafka:assortment/0/{number}", arrived_ms, json.dumps(document | scope).encode())


def delist(number: int = 1, **more) -> bytes:
    return order("delist", number, product=MILK, **more)


def sell_out(ledger: BatchedHarness, at_ms: int = T0 + 10) -> list[str]:
    """A shelf of a normal 200 goes from 60 to -5; which routes that takes."""
    before = len(ledger.side["actions"])
    ledger.process(
        line("plan", f"M:plan-{at_ms}/1", 200, at_ms),
        line("count", f"M:count-{at_ms}/1", 60, at_ms + 1),
        line("sale", f"t-{at_ms}/1", -65, at_ms + 2),
    )
    return [one.partition(b"|")[0].decode() for one in ledger.side["actions"][before:]]


def notices(ledger: BatchedHarness) -> list[notice.Notice]:
    sent = [one for one in ledger.side["actions"] if one.startswith(b"notices|")]
    return [notice.parse(one.partition(b"\n")[2]) for one in sent]


@pytest.mark.parametrize(
    "said",
    [
        delist(),
        delist(country="ZA"),
        delist(store=45),
        order("delist", product="0" + MILK),
        order("close", store=45),
    ],
    ids=["everywhere", "country", "store", "as GTIN-14", "closed"],
)
def test_nothing_is_ordered_or_alerted_where_nothing_is_sold(said):
    shelves = ledger()
    assert sell_out(ledger()) != []
    shelves.control(said)
    assert sell_out(shelves) == []
    assert stock.decode(shelves.state[KEY]).level == -5  # its level is kept all the same


@pytest.mark.parametrize("said", [delist(country="ZM"), delist(store=46), order("close", store=46)])
def test_an_order_about_other_shelves_changes_nothing_here(said):
    shelves = ledger()
    shelves.control(said)
    assert sell_out(shelves) != []


def test_an_order_holds_from_its_time_and_not_before():
    shelves = ledger()
    shelves.control(delist(from_ms=T0 + 24 * HOUR_MS))
    assert "requests" in sell_out(shelves, T0 + 23 * HOUR_MS)
    assert sell_out(shelves, T0 + 24 * HOUR_MS) == ["notices"]  # of what was on order
    assert notices(shelves)[-1].template == "order_not_wanted"


def test_the_order_that_begins_last_decides_whichever_comes_first():
    orders = [
        delist(1),
        order("relist", 2, T0 + HOUR_MS, product=MILK, store=45),
        delist(3, from_ms=T0 + 2 * HOUR_MS),
    ]
    for said in (orders, orders[::-1]):
        shelves = ledger()
        for one in said:
            shelves.control(one)
            shelves.control(one)  # a repeat
        assert sell_out(shelves, T0 + 10) == []
        assert "requests" in sell_out(shelves, T0 + HOUR_MS)
        assert "requests" not in sell_out(shelves, T0 + 2 * HOUR_MS)
        assert sell_out(shelves, T0 + 3 * HOUR_MS) == []


def test_what_holds_is_restored_from_a_savepoint_and_what_was_replaced_is_not_kept():
    shelves = ledger()
    shelves.control(delist(1))
    shelves.control(order("relist", 2, T0 + HOUR_MS, T0 + 2 * HOUR_MS, product=MILK))
    assert list(shelves.kept) == [f"{MILK}/@{T0 + HOUR_MS}/range-0002"]
    shelves.control(delist(1))  # long replaced: it may come again
    assert len(shelves.kept) == 1
    shelves.control(delist(3, from_ms=T0 + 3 * HOUR_MS))
    restored = ledger(shelves.kept)
    assert "requests" in sell_out(restored, T0 + 2 * HOUR_MS)
    assert "requests" not in sell_out(restored, T0 + 3 * HOUR_MS)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (seal("kafka:assortment/0/1", T0, b"{"), "not_json"),
        (order("close"), "missing_field"),
        (order("delist", product=MILK, store=45, country="ZA"), "not_allowed"),
        (delist(1, from_ms=T0 + 1), "id_conflict"),
        (delist(99), "out_of_range"),
    ],
)
def test_a_bad_order_is_one_dead_letter_and_changes_nothing(said, reason):
    shelves = ledger()
    for n in range(1, 9):
        shelves.control(delist(n, from_ms=T0 + n * HOUR_MS))
    before = dict(shelves.kept)
    shelves.control(said)
    (letter,) = map(json.loads, shelves.side["dead-letters"])
    assert (letter["reason"], letter["job"]) == (reason, "inventory")
    assert shelves.kept == before


@pytest.mark.parametrize(
    "other",
    [order("delist", product=MILK, store=46), order("delist", product="6001240100035", store=45),
     order("close", store=46), order("delist", product=MILK)],
)  # fmt: skip
def test_an_id_of_an_order_about_another_store_or_product_is_a_conflict(other):
    shelves = ledger()
    for one in (delist(store=45), other, delist(store=45)):  # the same again changes nothing
        shelves.control(one)
    (letter,) = map(json.loads, shelves.side["dead-letters"])
    assert letter["reason"] == "id_conflict"


def test_orders_that_a_release_before_has_kept_under_one_id_are_restored():
    known = Range(COUNTRIES)
    for store in (45, 46):
        one = assortment.parse(unseal(delist(store=store)).raw)
        orders = known.after(one, None)
        assert orders == [one]
        known.put(one.key, orders)
    assert known.ended(45, MILK, T0) is not None
    assert known.ended(46, MILK, T0) is not None


def test_open_orders_of_a_store_that_closes_are_told_to_the_supply_team_although_it_sells_no_more():
    shelves = ledger()
    sell_out(shelves)
    (open_order,) = stock.decode(shelves.state[KEY]).open_orders
    shelves.control(order("close", 1, T0 + HOUR_MS, store=45))
    before = len(notices(shelves))
    shelves.advance_to(T0 + 12 * HOUR_MS)
    asked = shelves.side["actions"][-1].partition(b"\n")[2]
    shelves.process((KEY, b"D" + asked))
    (told,) = notices(shelves)[before:]
    assert (told.recipient, told.template) == ("team:supply", "order_not_wanted")
    assert told.params == {
        "store": 45, "product": MILK, "order_id": open_order.order_id, "quantity": 200,
        "why": "close", "range_order_id": "range-0001",
    }  # fmt: skip
    after = stock.decode(shelves.state[KEY])
    assert (after.open_orders, after.low, after.below_zero) == ([], False, False)
    shelves.advance_to(T0 + 100 * HOUR_MS)
    assert len(notices(shelves)) == before + 1
    assert len(shelves.timers) == 1  # it is short, and the store may open again


def test_what_is_never_counted_and_delisted_is_on_no_list():
    shelves = ledger()
    shelves.control(delist())
    shelves.process(line("sale", "t/1", -3))
    assert shelves.side["stores"] == []


def asked(ledger: BatchedHarness) -> list[dict]:
    sent = [one for one in ledger.side["actions"] if one.startswith(b"requests|")]
    return [json.loads(one.partition(b"\n")[2]) for one in sent]


@pytest.mark.parametrize(
    ("ends", "begins"),
    [
        (delist(), {"action": "relist", "product": MILK}),
        (order("close", store=45), {"action": "reopen", "store": 45}),
    ],
)
def test_a_shelf_that_sold_out_while_it_was_ended_is_ordered_for_once_it_is_back(ends, begins):
    shelves = ledger()
    shelves.control(ends)
    sell_out(shelves)
    assert asked(shelves) == []
    hours = 0
    for hours in range(6, 24 * 90, 6):
        shelves.advance_to(T0 + hours * HOUR_MS)
        assert len(shelves.timers) <= 2
    back_ms = T0 + hours * HOUR_MS
    shelves.control(order(number=2, from_ms=back_ms, arrived_ms=back_ms, **begins))
    shelves.advance_to(back_ms + 13 * HOUR_MS)
    (retry,) = asked(shelves)
    assert (retry["ask"], retry["event_time_ms"]) == ("retry", back_ms)
    shelves.process((KEY, b"D" + json.dumps(retry).encode()))
    assert "order" in [one["ask"] for one in asked(shelves)]


def test_what_nobody_had_is_asked_for_again_although_the_store_was_closed_when_its_hold_ended():
    shelves = ledger()
    sell_out(shelves)
    ordered = json.dumps(asked(shelves)[0]).encode()
    shelves.process((f"9003/{MILK}", b"D" + ordered))
    refusal = next(one for one in asked(shelves) if one["ask"] == "refusal")
    shelves.process((KEY, b"D" + json.dumps(refusal).encode()))
    shelves.control(order("close", 1, T0 + HOUR_MS, store=45))
    shelves.advance_to(T0 + 24 * HOUR_MS)
    back_ms = T0 + 25 * HOUR_MS
    shelves.control(order("reopen", 2, back_ms, back_ms, store=45))
    shelves.advance_to(T0 + 48 * HOUR_MS)
    assert [one["ask"] for one in asked(shelves)][-1] == "retry"


def test_a_full_assortment_takes_what_replaces_and_what_comes_back_and_nothing_new(monkeypatch):
    monkeypatch.setattr(assortment, "MOST_ORDERS", 2)
    shelves = ledger()
    shelves.control(delist(1))
    shelves.control(order("close", 2, store=45))
    shelves.control(order("reopen", 3, T0 + 1, T0 + 1, store=45))  # in place of 2
    shelves.control(order("relist", 4, T0 + HOUR_MS, T0 + 1, product=MILK))  # planned
    assert shelves.side["dead-letters"] == []
    for new in (order("close", 5, store=46), delist(6, from_ms=T0 + 2 * HOUR_MS)):
        shelves.control(new)
    letters = [json.loads(one)["reason"] for one in shelves.side["dead-letters"]]
    assert letters == ["out_of_range"] * 2
    assert len(shelves.kept) == 3
    for kept in (shelves.kept, dict(reversed(shelves.kept.items()))):
        assert "requests" in sell_out(ledger(kept), T0 + HOUR_MS)
