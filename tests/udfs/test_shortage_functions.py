"""The shortage job's functions in the harness: lines, notices, dead letters, timers, what is kept."""

from __future__ import annotations

import json
import pickle
from random import Random

import pytest
from pyflink.common import Row

from tests.support.batched_harness import BatchedHarness
from tests.support.harness import KeyedHarness
from tests.support.sales import canonical, line, sale
from tillstream.domain.demand.model import DAY_MS, HOUR_MS, DemandRules
from tillstream.domain.envelope import seal
from tillstream.domain.shortage.regional import RegionalRules
from tillstream.domain.shortage.shelves import ShortageRules
from tillstream.state_schemas.keyed import store_watch
from tillstream.udfs.shortage import PromotionsByStore, RegionWatch, ShelfWatch
from tillstream.udfs.stage import StageSettings

BREAD, MILK = "2000000000015", "2000000000404"
DAY0 = 20_416 * DAY_MS
LOCAL = DemandRules()
RULES = ShortageRules(demand=LOCAL, lead_minutes=60)
ASK_MS = 600_000
SETTINGS = StageSettings("shortage")


def watch_function(zones: dict[int, str] | None = None) -> ShelfWatch:
    return ShelfWatch(SETTINGS, RULES, frozenset({"bakery"}), "stock-changes", ASK_MS, zones or {})


def receipt(number: int, at_ms: int, store: int = 45, bread: int = 0, **changes) -> bytes:
    lines = [line(MILK, 1, 100, "dairy"), *([line(BREAD, bread, 100, "bakery")] if bread else [])]
    sold = sale(
        f"{store:04d}-03-20251124-{number:06d}", at_ms, lines=lines, store=store,
        **{"region": "gauteng", "customer_id": None} | changes,
    )  # fmt: skip
    return seal(f"kafka:transactions/0/{number}", at_ms, canonical(sold))


def level(
    version: int, quantity: int, at_ms: int, kind: str = "sale", store: int = 45, **changes
) -> bytes:
    entry = {
        "entry_id": f"entry-{version}",
        "store": store,
        "product": BREAD,
        "version": version,
        "kind": kind,
        "old_quantity": 0,
        "new_quantity": quantity,
        "event_time_ms": at_ms,
        "reorder_point": 12,
    } | changes
    return seal(f"kafka:stock-changes/1/{version}", at_ms, json.dumps(entry).encode())


def traffic(days: range, store: int = 45, baskets: int = 30, share: float = 0.3, bread=True):
    """(time, whether it holds bread) of a store open from 8 to 18."""
    chance = Random(f"{store} {days}")
    for day in days:
        at = float(DAY0 + day * DAY_MS + 8 * HOUR_MS)
        while (
            at := at + chance.expovariate(baskets) * HOUR_MS
        ) < DAY0 + day * DAY_MS + 18 * HOUR_MS:
            yield int(at), int(bread and chance.random() < share)


def history(store: int = 45) -> list[tuple[str, bytes]]:
    """Nine ordinary days, and one on which the bread is gone from the start."""
    sold = [*traffic(range(-9, 0), store), *traffic(range(1), store, bread=False)]
    return [(str(store), receipt(n, at, store, bread)) for n, (at, bread) in enumerate(sold)]


@pytest.fixture
def shelves() -> BatchedHarness:
    return BatchedHarness(watch_function(), now_ms=1_000_000)


def lines(made) -> list[dict]:
    return [json.loads(one) for one in made]


def test_an_empty_shelf_becomes_one_line(shelves):
    told = lines(shelves.process(*history()))
    (line,) = told
    assert (line["status"], line["shelf"]) == ("silent", f"45/{BREAD}")
    assert line["area"] == f"gauteng/{BREAD}"
    assert line["silent_baskets"] > 15
    watch = store_watch.decode(shelves.state["45"])
    assert watch.shelves[BREAD].status == "silent"
    assert MILK not in watch.shelves


def test_levels_of_the_ledger_and_sales_meet_in_one_store(shelves):
    shelves.process(*history()[:-290])
    watch = store_watch.decode(shelves.state["45"])
    at = watch.newest_ms
    (line,) = lines(shelves.process(("45", level(1, 0, at))))
    assert line["status"] == "sold_out"
    (line,) = lines(shelves.process(("45", level(2, 400, at + 1, "delivery"))))
    assert (line["status"], line["before"]) == ("ok", "sold_out")


def test_a_shelf_that_was_never_counted_is_not_sold_out_whatever_its_sum_says(shelves):
    shelves.process(*history()[:-290])
    at = store_watch.decode(shelves.state["45"]).newest_ms
    assert shelves.process(("45", level(1, 0, at, counted_ms=-1))) == []
    assert store_watch.decode(shelves.state["45"]).shelves[BREAD].stock is None
    (line,) = lines(shelves.process(("45", level(2, 0, at, "count", counted_ms=at))))
    assert line["status"] == "sold_out"


def test_a_record_that_is_no_transaction_is_a_dead_letter(shelves):
    assert shelves.process(("45", seal("kafka:transactions/0/1", DAY0, b"{"))) == []
    (letter,) = map(json.loads, shelves.side["dead-letters"])
    assert (letter["job"], letter["reason"]) == ("shortage", "not_canonical")
    assert shelves.state == {}
    assert shelves.timers == set()


def test_a_refund_leaves_no_trace(shelves):
    refund = receipt(1, DAY0, kind="refund", refers_to="0045-03-20251124-000009")
    assert shelves.process(("45", refund)) == []
    assert shelves.state == {}


def announced(at_ms: int) -> bytes:
    document = {
        "schema": 1,
        "promotion_id": "promo-0001",
        "revision": 1,
        "status": "planned",
        "products": [BREAD],
        "start_ms": DAY0,
        "end_ms": DAY0 + DAY_MS,
        "uplift_percent": 200,
        "announced_ms": at_ms,
    }
    return json.dumps(document).encode()


def test_a_promotion_ahead_of_the_clock_is_a_dead_letter_here_too():
    spread = KeyedHarness(PromotionsByStore(SETTINGS, (45, 46, 47)))
    ahead = seal("kafka:promotions-inventory/0/1", DAY0, announced(DAY0 + DAY_MS))
    assert spread.process("promo-0001", ahead) == []
    (letter,) = map(json.loads, spread.side["dead-letters"])
    assert letter["reason"] == "clock_ahead"


def test_a_promotion_reaches_every_store_it_is_for(shelves):
    spread = KeyedHarness(PromotionsByStore(SETTINGS, (45, 46, 47)))
    raw = announced(DAY0 - DAY_MS)
    rows = spread.process("promo-0001", seal("kafka:promotions/0/1", DAY0, raw))
    assert [row[0] for row in rows if isinstance(row, Row)] == ["45", "46", "47"]
    assert shelves.process(("45", rows[0][1])) == []
    assert shelves.state == {}
    shelves.process(history()[0])
    shelves.process(("45", receipt(900_000, DAY0 - DAY_MS, bread=1)))
    assert shelves.process(("45", rows[0][1])) == []
    watch = store_watch.decode(shelves.state["45"])
    assert watch.promotions[BREAD][0].uplift_percent == 200
    assert spread.process("x", seal("kafka:promotions/0/2", DAY0, b"[]")) == []
    assert len(spread.side["dead-letters"]) == 1


def test_a_store_that_is_heard_no_more_is_offline_while_others_are(shelves):
    for store in (45, 46):
        shelves.process(*history(store)[:-250])
    assert {key for _, key in shelves.timers} == {"45", "46"}
    silent_since = store_watch.decode(shelves.state["45"]).newest_ms
    for n in range(90):
        shelves.process(("46", receipt(900_000 + n, silent_since + n * 60_000, 46, n % 3 == 0)))
    told = lines(shelves.advance_to(shelves.now_ms + ASK_MS))
    assert [(line["place"], line["status"]) for line in told] == [("store:45", "offline")]
    assert {key for _, key in shelves.timers} == {"45", "46"}  # it may close meanwhile
    assert shelves.advance_to(shelves.now_ms + ASK_MS) == []
    told = lines(shelves.process(("45", receipt(999_999, silent_since + 91 * 60_000))))
    assert [(line["product"], line["status"]) for line in told] == [("*", "ok")]
    assert {key for _, key in shelves.timers} == {"45", "46"}


def test_a_stream_that_stands_still_makes_nobody_offline(shelves):
    shelves.process(*history()[:-250])
    for n in range(1, 20):
        assert shelves.advance_to(1_000_000 + n * ASK_MS) == []
    assert len(shelves.timers) == 1


def test_in_a_replay_nobody_is_offline(shelves):
    for store in (45, 46):
        shelves.process(*history(store)[:-250])
    newest = store_watch.decode(shelves.state["45"]).newest_ms
    for n in range(90):
        shelves.process(("46", receipt(900_000 + n, newest + n * 60_000, 46, n % 3 == 0)))
    assert shelves.advance_to(newest + 20 * HOUR_MS) == []


def test_after_a_restart_nobody_is_offline_until_others_are_heard(shelves):
    shelves.process(*history()[:-250])
    again = BatchedHarness(watch_function(), now_ms=shelves.now_ms)
    again.state, again.timers = shelves.state, shelves.timers
    assert again.advance_to(again.now_ms + 10 * ASK_MS) == []


def test_a_watch_kept_by_one_call_a_record_is_read(shelves):
    shelves.process(*history()[:-250])
    again = BatchedHarness(watch_function(), now_ms=shelves.now_ms)
    again.state = {key: pickle.dumps(state) for key, state in shelves.state.items()}
    assert again.process(*history()[-250:]) == shelves.process(*history()[-250:])
    assert again.state == shelves.state


def test_a_timer_that_is_lost_is_set_again_and_does_no_harm_should_it_come_late(shelves):
    shelves.process(*history()[:-250])
    (lost,) = shelves.timers
    shelves.timers.clear()
    shelves.now_ms += 2 * ASK_MS + 1
    shelves.process(history()[-250])
    (awaited,) = shelves.timers
    assert awaited == (shelves.now_ms + ASK_MS, "45")
    shelves.timers.add(lost)
    assert shelves.advance_to(shelves.now_ms) == []
    assert shelves.timers == {awaited}


def test_each_store_goes_by_its_own_clock():
    zones = {45: "Africa/Nairobi", 46: "Africa/Luanda"}
    watch = BatchedHarness(watch_function(zones), now_ms=1_000_000)
    for store in (45, 46, 47):
        watch.process(*history(store))
    found = {key: store_watch.decode(state) for key, state in watch.state.items()}
    assert [found[key].zone for key in ("45", "46", "47")] == [*zones.values(), "UTC"]
    opened = [next(h for h, n in enumerate(found[key].traffic.hours) if n) for key in found]
    assert opened == [11, 9, 8]


def test_a_region_hears_its_shelves_and_gives_notices(shelves):
    region = KeyedHarness(RegionWatch(SETTINGS, RegionalRules(normal=LOCAL), {}))
    told = shelves.process(*history())
    assert region.process(f"gauteng/{BREAD}", told[0]) == []
    (notice,) = map(json.loads, region.side["notices"])
    assert notice["recipient"] == "store:45"
    assert notice["template"] == "shelf_silent"
    assert notice["notice_id"].startswith(f"shelf_silent:store:45:45/{BREAD}/")
