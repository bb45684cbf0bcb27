"""What is delisted is not missed, a closed store has no empty shelves; both are watched again once back."""

from __future__ import annotations

import json

import pytest

from tests.support.batched_harness import BatchedHarness
from tests.udfs.test_assortment import order
from tests.udfs.test_shortage_functions import (
    ASK_MS,
    BREAD,
    DAY0,
    RULES,
    SETTINGS,
    history,
    level,
    lines,
    receipt,
    traffic,
)
from tillstream.domain.demand.model import DAY_MS, HOUR_MS
from tillstream.domain.envelope import seal
from tillstream.state_schemas.keyed import store_watch
from tillstream.udfs.shortage import ShelfWatch

LONG_AGO = DAY0 - 30 * DAY_MS
TODAY = len([*traffic(range(1), bread=False)])


def watch(kept: dict[str, bytes] | None = None) -> BatchedHarness:
    made = ShelfWatch(
        SETTINGS, RULES, frozenset({"bakery"}), "stock-changes", ASK_MS, {}, {45: "ZA"}
    )
    return BatchedHarness(made, kept, now_ms=1_000_000)


def delist(from_ms: int = LONG_AGO, number: int = 1, action: str = "delist", **scope) -> bytes:
    return order(action, number, from_ms, from_ms, product=BREAD, **scope)


def newest(shelves: BatchedHarness, store: int = 45) -> int:
    return store_watch.decode(shelves.state[str(store)]).newest_ms


def others_trade(shelves: BatchedHarness, minutes: int, since_ms: int) -> None:
    for n in range(minutes):
        shelves.process(("46", receipt(800_000 + n, since_ms + n * 60_000, 46, n % 3 == 0)))


@pytest.mark.parametrize(
    "said", [delist(), delist(country="ZA"), delist(store=45), order("close", 1, LONG_AGO, store=45)],
    ids=["everywhere", "country", "store", "closed"],
)  # fmt: skip
def test_nothing_is_noticed_of_what_is_not_sold(said):
    assert [line["status"] for line in lines(watch().process(*history()))] == ["silent"]
    shelves = watch()
    shelves.control(said)
    assert shelves.process(*history()) == []
    assert shelves.process(("45", level(1, 0, newest(shelves)))) == []  # sold out, else


@pytest.mark.parametrize("said", [delist(country="ZM"), delist(store=46), delist(DAY0 + DAY_MS)])
def test_an_order_about_other_shelves_or_of_later_changes_nothing(said):
    shelves = watch()
    shelves.control(said)
    assert len(shelves.process(*history())) == 1


def test_a_delisted_product_runs_out_without_a_warning():
    shelves = watch()
    shelves.process(*history()[:-TODAY])
    shelves.control(delist(DAY0))
    at = DAY0 + 8 * HOUR_MS
    sales = [("45", receipt(700_000 + n, at + n * 60_000, bread=1)) for n in range(30)]
    levels = [("45", level(n, 30 - n, at + n * 60_000)) for n in range(30)]
    both = [one for pair in zip(sales, levels, strict=True) for one in pair]
    assert shelves.process(*both) == []
    plain = watch()
    plain.process(*history()[:-TODAY])
    assert "running_out" in [line["status"] for line in lines(plain.process(*both))]


def test_an_open_shortage_ends_with_the_next_minute_of_trade():
    shelves = watch()
    shelves.process(*history())
    at = newest(shelves) + 1
    shelves.control(delist(at))
    (told,) = lines(shelves.process(("45", receipt(900_001, at + 60_000))))
    assert (told["status"], told["before"], told["opens"]) == ("ok", "silent", False)
    assert told["why"] == "not sold here: delist range-0001"
    assert shelves.process(("45", receipt(900_002, at + 120_000))) == []


def test_a_level_ahead_of_the_baskets_ends_no_shortage_before_its_order_holds():
    shelves = watch()
    shelves.process(*history())
    at = newest(shelves)
    shelves.control(delist(at + 3 * HOUR_MS))
    assert shelves.process(("45", level(1, 5, at + 4 * HOUR_MS))) == []
    trade = [("45", receipt(600_000 + n, at + n * 60_000)) for n in range(1, 180)]
    assert lines(shelves.process(*trade)) == []
    (told,) = lines(shelves.process(("45", receipt(600_180, at + 3 * HOUR_MS))))
    assert (told["status"], told["before"]) == ("ok", "silent")
    assert told["why"] == "not sold here: delist range-0001"


def test_an_open_shortage_of_a_store_that_closes_ends_without_another_basket():
    shelves = watch()
    shelves.process(*history())
    at = newest(shelves)
    shelves.control(order("close", 1, at + HOUR_MS, store=45))
    others_trade(shelves, 59, at)
    assert shelves.advance_to(shelves.now_ms + ASK_MS) == []
    others_trade(shelves, 3, at + HOUR_MS)
    (told,) = lines(shelves.advance_to(shelves.now_ms + ASK_MS))
    assert (told["shelf"], told["status"], told["before"]) == (f"45/{BREAD}", "ok", "silent")
    assert told["why"] == "not sold here: close range-0001"


def test_a_closed_store_is_never_offline_and_one_that_was_is_no_more():
    shelves = watch()
    for store in (45, 46):
        shelves.process(*history(store)[:-250])
    at = newest(shelves)
    others_trade(shelves, 90, at)
    (told,) = lines(shelves.advance_to(shelves.now_ms + ASK_MS))
    assert told["status"] == "offline"
    shelves.control(order("close", 1, at + 2 * HOUR_MS, store=45))
    others_trade(shelves, 90, at + 2 * HOUR_MS)
    shelf, told = lines(shelves.advance_to(shelves.now_ms + ASK_MS))
    assert (shelf["product"], shelf["status"], shelf["before"]) == (BREAD, "ok", "silent")
    assert (told["product"], told["status"], told["before"]) == ("*", "ok", "offline")
    assert told["why"] == "the store is closed: range-0001"
    others_trade(shelves, 90, at + 4 * HOUR_MS)
    assert shelves.advance_to(shelves.now_ms + ASK_MS) == []


def test_a_store_that_opens_again_is_given_time_to_be_heard():
    shelves = watch()
    for store in (45, 46):
        shelves.process(*history(store)[:-250])
    at = newest(shelves)
    shelves.control(order("close", 1, at, store=45))
    shelves.control(order("reopen", 2, at + 3 * HOUR_MS, at + HOUR_MS, store=45))
    others_trade(shelves, 181, at)
    assert shelves.advance_to(shelves.now_ms + ASK_MS) == []
    others_trade(shelves, 90, at + 3 * HOUR_MS)
    told = lines(shelves.advance_to(shelves.now_ms + ASK_MS))
    assert [(line["place"], line["status"]) for line in told] == [("store:45", "offline")]


def test_baskets_while_it_was_delisted_are_no_silence_once_it_is_back():
    shelves = watch()
    shelves.process(*history()[:-TODAY])
    shelves.control(delist(DAY0))
    back = order("relist", 2, DAY0 + 14 * HOUR_MS, DAY0, product=BREAD)
    shelves.control(back)
    (told,) = [line for one in history()[-TODAY:] for line in lines(shelves.process(one))]
    assert told["status"] == "silent"
    assert DAY0 + 14.5 * HOUR_MS < told["at_ms"] < DAY0 + 16 * HOUR_MS
    assert 15 < told["silent_baskets"] < 60


def test_days_without_it_teach_nothing():
    shelves = watch()
    shelves.process(*history()[:-TODAY])
    before = store_watch.decode(shelves.state["45"]).shelves[BREAD].demand.days_known
    shelves.control(delist(DAY0))
    quiet = [
        ("45", receipt(500_000 + n, at)) for n, (at, _) in enumerate(traffic(range(5), bread=False))
    ]
    assert shelves.process(*quiet) == []
    after = store_watch.decode(shelves.state["45"]).shelves[BREAD].demand.days_known
    assert after == pytest.approx(before, abs=1)


def test_what_holds_is_restored_from_a_savepoint():
    shelves = watch()
    shelves.control(delist())
    assert watch(shelves.kept).process(*history()) == []


def test_a_bad_order_is_one_dead_letter_and_changes_nothing():
    shelves = watch()
    shelves.control(seal("kafka:assortment/0/1", DAY0, b"{"))
    (letter,) = map(json.loads, shelves.side["dead-letters"])
    assert (letter["reason"], letter["job"]) == ("not_json", "shortage")
    assert shelves.kept == {}
