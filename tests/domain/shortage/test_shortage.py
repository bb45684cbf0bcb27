"""Which shelves are told of when: running out, sold out, silent; and when nothing is told."""

from __future__ import annotations

import math

import msgspec
import pytest

from tests.support.shelf_shop import BREAD, RULES, Shop
from tillstream.domain.demand.model import DAY_MS, HOUR_MS
from tillstream.domain.promotions.promotion import Promotion
from tillstream.domain.shortage import silence
from tillstream.domain.shortage.line import OFFLINE, OK, RUNNING_OUT, SILENT, SOLD_OUT
from tillstream.domain.shortage.store import Basket, apply_basket, apply_promotion, missed

MINUTE = 60_000


@pytest.fixture(scope="module")
def known() -> Shop:
    return Shop().learn()


@pytest.fixture
def shop(known: Shop) -> Shop:
    return known.twin()


def statuses(lines) -> list[str]:
    return [line.status for line in lines if line.status != line.before]


def test_a_day_with_bread_enough_is_told_of_nowhere(shop):
    shop.trade(0, end=8.5)
    shop.level(500, shop.at(0, 8.5))
    assert shop.trade(0, start=8.5) == []


def test_the_manager_is_told_a_lead_time_before_the_last_loaf_is_sold(shop):
    shop.trade(0, end=9)
    shop.level(60, shop.at(0, 9), came=True)
    told = shop.trade(0, start=9)
    first = told[0]
    assert (first.status, first.before, first.opens) == (RUNNING_OUT, OK, True)
    empty = next(line for line in told if line.status == SOLD_OUT)
    assert 20 * MINUTE < empty.at_ms - first.at_ms < 100 * MINUTE
    assert first.early_ms < first.run_out_ms < first.late_ms
    assert first.early_ms < empty.at_ms < first.late_ms
    assert "help takes 60 min" in first.why


def test_each_store_is_told_at_its_own_moment():
    stores = {}
    for store, lead in ((101, 30), (102, 60), (103, 120)):
        rules = msgspec.structs.replace(RULES, lead_minutes_by_store={store: lead})
        stores[store] = Shop(store, rules=rules, seed=3).learn()
    told = {}
    for store, shop in stores.items():
        shop.trade(0, end=9)
        shop.level(60, shop.at(0, 9), came=True)
        told[store] = shop.trade(0, start=9, busy=1.5)[0].at_ms
    assert told[103] < told[102] < told[101]


def test_bread_that_sells_faster_than_normal_is_told_of_sooner(shop):
    fast = shop.twin()
    for one, busy in ((shop, 1.0), (fast, 2.0)):
        one.trade(0, end=9, busy=busy)
        one.level(70, one.at(0, 9), came=True)
    ordinary = shop.trade(0, start=9)[0]
    sooner = fast.trade(0, start=9, busy=2.0)[0]
    assert sooner.at_ms < ordinary.at_ms - 30 * MINUTE
    assert sooner.demand_percent > 130


def test_goods_that_arrive_end_the_shortage_and_a_small_change_does_not(shop):
    shop.trade(0, end=9)
    shop.level(14, shop.at(0, 9), came=True)
    shop.trade(0, start=9, end=9.5)
    assert shop.watch.shelves[BREAD].status == RUNNING_OUT
    shop.level(shop.stock + 2, shop.at(0, 9.5), came=True)
    assert shop.watch.shelves[BREAD].status == RUNNING_OUT
    (line,) = shop.level(300, shop.at(0, 9.6), came=True)
    assert (line.status, line.before, line.opens) == (OK, RUNNING_OUT, False)


def test_near_the_limit_the_alert_does_not_flap(shop):
    shop.trade(0, end=9)
    shop.level(24, shop.at(0, 9), came=True)
    told = shop.trade(0, start=9, end=18)
    assert sum(line.before == OK for line in told) == 1


def test_an_empty_shelf_that_nobody_reported_is_found_by_its_silence(shop):
    shop.level(500, shop.at(0, 7), came=True)
    shop.trade(0, end=11)
    told = shop.trade(0, start=11, bread=False)
    assert statuses(told) == [SILENT]
    alpha = silence.alpha(shop.watch.shelves[BREAD].appeal, RULES.silence)
    floor = -math.log(alpha) / (shop.baskets * shop.share) * HOUR_MS
    last_sale = shop.watch.shelves[BREAD].sold_ms
    assert told[0].at_ms - last_sale < 1.3 * floor
    assert told[0].silent_baskets > 20
    assert told[0].stock is not None
    assert told[0].opens


def test_without_any_stock_ledger_silence_is_found_all_the_same(shop):
    shop.trade(0, end=11)
    assert statuses(shop.trade(0, start=11, bread=False)) == [SILENT]


def test_a_ledger_ahead_of_the_baskets_tells_its_own_time(shop):
    shop.trade(0, end=11)
    (line,) = shop.level(0, shop.at(0, 11.5))
    assert (line.status, line.at_ms, line.since_ms) == (SOLD_OUT, *[shop.at(0, 11.5)] * 2)


def test_a_sale_ends_the_silence_and_so_does_a_delivery(shop):
    shop.trade(0, end=11)
    shop.trade(0, start=11, end=15, bread=False)
    by_delivery = shop.twin()
    (line,) = shop.basket(shop.at(0, 15.1), 1)
    assert (line.status, line.before) == (OK, SILENT)
    assert statuses(by_delivery.level(300, shop.at(0, 15.1), came=True)) == [OK]


def test_a_silence_goes_on_over_night_without_a_second_alert(shop):
    shop.trade(0, end=11)
    assert statuses(shop.trade(0, start=11, bread=False)) == [SILENT]
    assert shop.trade(1, bread=False) == []


def test_a_closed_store_and_a_quiet_one_are_not_empty_shelves(shop):
    shop.trade(0, end=11)
    assert shop.trade(0, start=11, busy=0.02, bread=False) == []
    assert shop.trade(4, start=8, end=8.5) == []  # three days closed in between


def test_a_product_too_slow_for_one_day_to_tell_is_judged_over_several():
    shop = Shop(share=0.01, seed=5).learn(28)
    silent = [day for day in range(8) if statuses(shop.trade(day, bread=False)) == [SILENT]]
    assert len(silent) == 1
    assert 1 <= silent[0] <= 5


def test_a_new_store_raises_no_alarm_before_it_is_known():
    shop = Shop(seed=8)
    for day in range(3):
        shop.trade(day, end=10)
        assert shop.trade(day, start=10, bread=False) == []


def test_what_is_sold_out_by_the_ledger_is_said_so(shop):
    shop.trade(0, end=9)
    assert statuses(shop.level(0, shop.at(0, 9))) == [SOLD_OUT]
    assert shop.trade(0, start=9, end=9.2) == []


def test_a_ledger_below_nothing_is_wrong_and_not_believed(shop):
    shop.trade(0, end=9)
    shop.level(-3, shop.at(0, 9))
    assert shop.trade(0, start=9, end=11) == []
    assert statuses(shop.trade(0, start=11, bread=False)) == [SILENT]


def test_a_sale_that_the_ledger_does_not_know_of_ends_sold_out(shop):
    shop.trade(0, end=9)
    shop.level(0, shop.at(0, 9))
    assert shop.watch.shelves[BREAD].status == SOLD_OUT
    shop.basket(shop.at(0, 9.1), 1)
    assert shop.watch.shelves[BREAD].status == OK


def test_an_older_level_and_a_repeated_one_change_nothing(shop):
    shop.trade(0, end=9)
    shop.level(500, shop.at(0, 9))
    before = msgspec.msgpack.encode(shop.watch)
    shop.levels -= 1
    assert shop.level(0, shop.at(0, 9)) == []
    assert msgspec.msgpack.encode(shop.watch) == before


def test_a_transaction_sent_twice_counts_once(shop):
    shop.basket(shop.at(0, 9), 3, mark=b"same")
    before = msgspec.msgpack.encode(shop.watch)
    shop.basket(shop.at(0, 9), 3, mark=b"same")
    assert msgspec.msgpack.encode(shop.watch) == before


def test_a_late_sale_teaches_the_demand_but_does_not_fill_the_shelf(shop):
    shop.trade(0, end=11)
    shop.trade(0, start=11, end=15, bread=False)
    shelf = shop.watch.shelves[BREAD]
    sold = sum(shelf.demand.hours)
    assert shop.basket(shop.at(0, 10), 2) == []
    assert shelf.status == SILENT
    assert sum(shelf.demand.hours) == sold + 2


def test_a_till_whose_clock_runs_ahead_does_not_move_the_store_into_the_future(shop):
    shop.trade(0, end=9)
    newest = shop.watch.newest_ms
    shop.basket(shop.at(0, 16), 1, arrived_ms=newest + MINUTE)
    assert shop.watch.newest_ms == newest + MINUTE


def test_a_void_takes_its_units_back_and_moves_no_clock(shop):
    shop.trade(0, end=9)
    shelf = shop.watch.shelves[BREAD]
    sold, sold_ms = sum(shelf.demand.hours), shelf.sold_ms
    shop.basket(shop.at(0, 8.9), 1, sign=-1)
    assert (sum(shelf.demand.hours), shelf.sold_ms) == (sold - 1, sold_ms)


def test_days_of_an_empty_shelf_do_not_teach_that_bread_is_not_wanted(shop):
    usual = silence.share(shop.watch.shelves[BREAD].appeal, 12, RULES.silence)
    days_known = shop.watch.shelves[BREAD].demand.days_known
    shop.trade(0, end=9)
    for day in range(5):
        shop.trade(day, start=9 if day == 0 else 8, bread=False)
    shop.trade(5, end=8.1)
    shelf = shop.watch.shelves[BREAD]
    assert silence.share(shelf.appeal, 12, RULES.silence) == pytest.approx(usual, rel=0.15)
    assert shelf.demand.days_known <= days_known + 1


def test_a_live_promotion_raises_what_is_expected(shop):
    promoted = shop.twin()
    start = shop.at(0, 0)
    campaign = Promotion("promo-0001", 1, start, start + DAY_MS, 300)
    apply_promotion(promoted.watch, [BREAD, "20000000"], campaign, RULES)
    told = []
    for one in (shop, promoted):
        one.trade(0, end=8.1)
        told.append(statuses(one.level(20, one.at(0, 8.1), came=True)))
    assert told == [[], [RUNNING_OUT]]


def test_a_promotion_that_is_over_leaves_nothing_behind(shop):
    start = shop.at(0, 0)
    campaign = Promotion("promo-0001", 1, start, start + 1, 300)
    apply_promotion(shop.watch, [BREAD], campaign, RULES)
    shop.trade(0, end=10)
    assert shop.watch.promotions == {}
    assert shop.watch.shelves[BREAD].demand.uplift == 1.0


def test_what_arrives_too_old_is_written_down_and_calls_nobody(shop):
    shop.trade(0, end=11)
    for n in range(200):
        at = shop.at(0, 11) + n * 100_000
        lines = shop.basket(at, arrived_ms=at + 2 * HOUR_MS)
        if lines:
            break
    assert lines[0].status == SILENT
    assert lines[0].stale


def test_a_store_that_is_not_heard_while_others_are_is_offline(shop):
    shop.trade(0, end=11)
    newest = shop.watch.newest_ms
    assert missed(shop.store, shop.watch, newest, RULES) == []  # the whole stream is silent
    assert missed(shop.store, shop.watch, newest + 5 * MINUTE, RULES) == []
    (line,) = missed(shop.store, shop.watch, newest + HOUR_MS, RULES)
    assert (line.status, line.product, line.opens) == (OFFLINE, "*", True)
    assert missed(shop.store, shop.watch, newest + 2 * HOUR_MS, RULES) == []
    (back,) = shop.basket(newest + 3 * HOUR_MS)
    assert (back.status, back.before) == (OK, OFFLINE)
    assert back.version > line.version


def test_a_store_that_is_closed_is_not_offline(shop):
    shop.trade(0)
    assert missed(shop.store, shop.watch, shop.at(1, 7.5), RULES) == []


def test_the_same_records_give_the_same_lines_and_the_same_state(known):
    first, second = known.twin(), known.twin()
    for one in (first, second):
        one.trade(0, end=9)
        one.level(50, one.at(0, 9))
        one.trade(0, start=9)
    assert first.told == second.told != []
    assert msgspec.msgpack.encode(first.watch) == msgspec.msgpack.encode(second.watch)


def test_versions_of_a_line_only_grow_and_ids_name_the_episode(shop):
    for day in range(2):
        shop.trade(day, end=9)
        shop.level(20, shop.at(day, 9), came=True)
        shop.trade(day, start=9, end=15)
        shop.level(400, shop.at(day, 15), came=True)
    versions = [line.version for line in shop.told]
    assert versions == sorted(set(versions))
    opened = [line.shortage_id for line in shop.told if line.before == OK]
    assert len(opened) == len(set(opened)) == 2
    assert opened[0].startswith(f"45/{BREAD}/2025")


def test_a_store_watches_only_so_many_shelves(shop):
    rules = msgspec.structs.replace(RULES, max_shelves=1)
    shop.rules = rules
    shop.marks += 1
    other = Basket("gauteng", shop.at(0, 9), shop.at(0, 9), (("2000000000022", 1),), b"anew")
    apply_basket(shop.store, shop.watch, other, rules)
    assert list(shop.watch.shelves) == [BREAD]


def test_a_product_that_left_the_range_is_forgotten(shop):
    shop.share = 0.0
    for day in range(35):
        shop.trade(day, end=13)
    assert BREAD not in shop.watch.shelves
    assert statuses(shop.told) == [SILENT, OK]
    last = shop.told[-1].version
    shop.share = 0.25
    for day in range(35, 50):
        shop.trade(day)
    shop.level(0, shop.at(49, 18))
    assert shop.told[-1].version > last  # or the table would keep the older line
