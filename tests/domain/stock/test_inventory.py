"""What low stock sets going: once each, to whom, how much, and why."""

from __future__ import annotations

import copy
from collections import defaultdict

import msgspec
import pytest

from tillstream.domain.promotions.promotion import Promotion, PromotionLine
from tillstream.domain.stock.actions import Request
from tillstream.domain.stock.inventory import (
    InventoryRules,
    on_line,
    on_promotion,
    on_request,
)
from tillstream.domain.stock.ledger import DAY_MS, HOUR_MS, Line, Stock, StockRules, move
from tillstream.domain.stock.network import Near, Neighbours
from tillstream.domain.stock.order_wake import on_wake, wake_ms

NOON = 1_764_072_000_000
MILK = "2000000000411"
RULES = InventoryRules()
NEAR = Neighbours((Near(9003, 40), Near(9005, 650)), (Near(46, 3), Near(47, 8)))


class Chain:
    """Stores and centres that answer each other at once; ``sent`` holds what went out, by route."""

    def __init__(self):
        self.stocks: dict[int, Stock] = {}
        self.sent = defaultdict(list)

    def line(self, store: int, kind: str, quantity: int, at_ms: int, name: str = "", order=None):
        name = name or f"{store}-{kind}-{at_ms}-{quantity}"
        self._take(store, on_line, Line(kind, name, store, MILK, quantity, at_ms, order))

    def promote(self, store: int, promotion: Promotion):
        self._take(store, on_promotion, PromotionLine(store, MILK, NOON, promotion))

    def _take(self, store, rule, event):
        before = copy.deepcopy(self.stocks.get(store))
        near = NEAR if store < 9000 else Neighbours((), ())
        after, _, actions = rule(before, event, near, RULES)
        if after is not None:
            self.stocks[store] = after
        for action in actions:
            self.sent[action.route].append(action.body)
            if isinstance(action.body, Request):
                self._take(action.body.to, on_request, action.body)

    def wake(self, store: int, due_ms: int):
        for action in on_wake(self.stocks[store], store, MILK, due_ms, RULES.planning):
            self._take(store, on_request, action.body)

    def asked(self, ask: str) -> list[Request]:
        return [request for request in self.sent["requests"] if request.ask == ask]


def milk_at_store_45(centre_has: int = 5_000) -> Chain:
    """A normal 200, now 30 left; the nearest centre has milk."""
    chain = Chain()
    if centre_has:
        chain.line(9003, "count", centre_has, NOON - DAY_MS)
    chain.line(9005, "count", 9_000, NOON - DAY_MS)
    chain.line(45, "plan", 200, NOON - 3 * HOUR_MS)
    chain.line(45, "count", 200, NOON - 2 * HOUR_MS)
    chain.line(45, "sale", -110, NOON - HOUR_MS)
    chain.line(45, "sale", -60, NOON - HOUR_MS + 1)
    return chain


def test_milk_at_store_45_with_12_left_of_a_normal_200():
    chain = milk_at_store_45()
    (regular,) = chain.sent["orders"]
    assert (regular.emergency, regular.quantity) == (False, 170)
    chain.line(45, "sale", -18, NOON)

    (order,) = [o for o in chain.sent["orders"] if o.emergency]
    assert (order.centre, order.store, order.product) == (9003, 45, MILK)
    assert order.quantity == 200 // 4 - 12
    assert order.why.level == 12
    assert [(t.centre, t.km, t.gave) for t in order.tried] == [(9003, 40, order.quantity)]
    assert order.due_ms == NOON + 5 * HOUR_MS

    (notice,) = chain.sent["notices"]
    assert (notice.recipient, notice.template, notice.kind) == ("store:45", "low_stock", "alert")
    assert notice.params == {"product": MILK, "level": 12, "normal": 200}
    (central,) = chain.sent["central"]
    assert (central.state, central.level, central.normal) == ("low", 12, 200)
    (route,) = chain.sent["truck_routes"]
    assert (route.centre, route.store, route.order_id) == (9003, 45, order.order_id)
    assert [offer.from_store for offer in chain.sent["offers"]] == [46, 47]


def test_each_is_sent_once_however_many_more_are_sold_or_brought_back():
    chain = milk_at_store_45()
    chain.line(45, "sale", -18, NOON)
    before = {route: len(sent) for route, sent in chain.sent.items()}
    for n in range(5):
        chain.line(45, "sale", -1, NOON + 2 * n + 1)
        chain.line(45, "refund", 1, NOON + 2 * n + 2)
    chain.line(45, "sale", -18, NOON, "45-sale-1764072000000--18")
    assert {route: len(sent) for route, sent in chain.sent.items()} == before


def test_all_is_well_again_only_above_the_reorder_point_and_the_next_time_is_another():
    chain = milk_at_store_45()
    chain.line(45, "sale", -18, NOON)
    for order in chain.sent["orders"]:
        chain.line(45, "delivery", order.quantity, NOON + HOUR_MS, order.line_id, order.order_id)
    assert [update.state for update in chain.sent["central"]] == ["low", "ok"]
    assert chain.stocks[45].open_orders == []
    chain.line(45, "sale", -210, NOON + 2 * HOUR_MS)
    ids = [notice.notice_id for notice in chain.sent["notices"]]
    assert len(ids) == len(set(ids)) == 2


def test_the_nearest_centre_gives_what_it_has_and_the_next_one_the_rest():
    chain = milk_at_store_45(centre_has=100)
    first, second = chain.sent["orders"]
    assert [(first.centre, first.quantity), (second.centre, second.quantity)] == [
        (9003, 100), (9005, 70),
    ]  # fmt: skip
    assert first.order_id == second.order_id
    assert first.line_id != second.line_id
    assert [(t.centre, t.had, t.gave) for t in second.tried] == [(9003, 100, 100), (9005, 9000, 70)]
    assert (chain.stocks[9003].level, chain.stocks[9005].level) == (0, 8_930)
    assert second.ordered == 170


def test_a_centre_that_has_none_is_passed_over_and_the_order_says_so():
    chain = milk_at_store_45(centre_has=0)
    (order,) = chain.sent["orders"]
    assert order.centre == 9005
    assert [(t.centre, t.had) for t in order.tried] == [(9003, 0), (9005, 9_000)]


def test_what_nobody_has_is_told_once_and_not_asked_for_again_at_every_sale():
    chain = Chain()
    chain.line(45, "plan", 200, NOON)
    chain.line(45, "count", 40, NOON)
    for n in range(10):
        chain.line(45, "sale", -1, NOON + n + 1)
    assert [n.template for n in chain.sent["notices"]] == ["order_unfilled"]
    assert len(chain.asked("order")) == 2
    assert chain.stocks[45].open_orders == []
    chain.line(45, "sale", -1, NOON + 7 * HOUR_MS)
    assert len(chain.asked("order")) == 4


def an_empty_shelf_nobody_had_anything_for() -> Chain:
    chain = Chain()
    chain.line(45, "plan", 200, NOON)
    chain.line(45, "count", 40, NOON)
    chain.line(45, "sale", -40, NOON + 1)
    assert len(chain.asked("refusal")) == 1
    return chain


def test_an_empty_shelf_asks_again_by_itself_for_what_nobody_had():
    chain = an_empty_shelf_nobody_had_anything_for()
    due_ms = wake_ms(chain.stocks[45], NOON + 30_000, RULES.planning)
    assert due_ms == NOON + 30_000 + 6 * HOUR_MS
    chain.wake(45, due_ms)
    assert len(chain.asked("refusal")) == 2
    chain.line(9003, "count", 5_000, NOON + 7 * HOUR_MS)
    chain.wake(45, wake_ms(chain.stocks[45], due_ms, RULES.planning))
    (order,) = chain.sent["orders"]
    assert (order.emergency, order.quantity, order.ordered_ms) == (
        True,
        200,
        NOON + 12 * HOUR_MS + 1,
    )
    chain.wake(45, due_ms + 20 * HOUR_MS)
    assert len(chain.sent["orders"]) == 1
    chain.line(45, "delivery", 200, NOON + 20 * HOUR_MS, order=order.order_id)
    version = chain.stocks[45].version
    chain.wake(45, due_ms + 40 * HOUR_MS)
    assert chain.stocks[45].version == version


def test_a_later_refusal_is_waited_for():
    chain = an_empty_shelf_nobody_had_anything_for()
    first = wake_ms(chain.stocks[45], NOON, RULES.planning)
    chain.line(45, "write_off", 0, NOON + 7 * HOUR_MS)
    assert len(chain.asked("refusal")) == 2
    before = copy.deepcopy(chain.stocks[45])
    chain.wake(45, first)
    assert chain.stocks[45] == before


def test_what_has_left_the_range_is_asked_for_no_more():
    chain = an_empty_shelf_nobody_had_anything_for()
    for _ in range(200):
        chain.wake(45, wake_ms(chain.stocks[45], chain.stocks[45].newest_ms, RULES.planning))
    assert 28 * 4 <= len(chain.asked("refusal")) <= 29 * 4 + 1


def test_a_nearby_store_offers_what_it_has_above_its_own_reorder_point():
    chain = milk_at_store_45()
    chain.line(46, "plan", 200, NOON - HOUR_MS)
    chain.line(46, "count", 180, NOON - HOUR_MS)
    chain.line(47, "plan", 200, NOON - HOUR_MS)
    chain.line(47, "count", 15, NOON - HOUR_MS)
    chain.line(45, "sale", -18, NOON)
    offers = {o.from_store: (o.level, o.spare, o.low) for o in chain.sent["offers"]}
    assert offers[46] == (180, 130, False)
    assert offers[47] == (15, 0, True)


def test_nothing_is_ordered_for_a_shelf_that_was_never_counted():
    chain = Chain()
    chain.line(9003, "count", 5_000, NOON)
    chain.line(45, "plan", 200, NOON)
    chain.line(45, "sale", -3, NOON + 1)
    assert not chain.sent["requests"]


def test_demand_is_learnt_and_orders_follow_it_without_a_plan():
    chain = Chain()
    chain.line(9003, "count", 100_000, NOON)
    chain.line(45, "count", 1_000, NOON)
    for day in range(12):
        for n in range(60):
            chain.line(45, "sale", -1, NOON + day * DAY_MS + n * 60_000, f"sale {day}/{n}")
    stock = chain.stocks[45]
    assert 58_000 < stock.daily_milli < 60_000  # a little is still believed of what was not seen
    # D L = 58.6; V = 58.6 + 58.6^2 / 9.45, for days are not yet known to be so alike;
    # k sqrt(V + 58.6^2 (6/24)^2) = 1.645 sqrt(421.5 + 214.4) = 41.5
    assert stock.reorder_point == 100
    # D (L + R) = 175.7; 1.645 sqrt(3 421.5 + 214.4) = 62.6
    assert stock.order_up_to == 239
    assert not chain.sent["orders"]
    for day in range(12, 16):
        for n in range(60):
            chain.line(45, "sale", -1, NOON + day * DAY_MS + n * 60_000, f"sale {day}/{n}")
    (order,) = chain.sent["orders"]
    why = order.why
    assert why.level == why.reorder_point
    assert order.quantity == why.order_up_to - why.level
    assert 58_000 < why.daily_demand_milli < 60_000


def test_a_day_with_an_empty_shelf_does_not_teach_that_nobody_wants_bread():
    chain = Chain()
    chain.line(45, "count", 120, NOON)
    for day in range(2):
        chain.line(45, "sale", -60, NOON + day * DAY_MS + 1)
    for day in range(2, 9):
        chain.line(45, "refund", 0, NOON + day * DAY_MS)
    taught = chain.stocks[45].daily_milli
    assert taught > 35_000
    chain.line(45, "count", 60, NOON + 9 * DAY_MS)
    for day in range(10, 14):
        chain.line(45, "refund", 0, NOON + day * DAY_MS)
    assert chain.stocks[45].daily_milli < 0.8 * taught


def test_saturdays_bread_is_ordered_on_friday():
    chain = Chain()
    chain.line(45, "count", 50_000, NOON - DAY_MS)
    points = {}
    for day in range(35):  # the first is a Tuesday
        for n in range(60 if day % 7 == 4 else 20):
            chain.line(45, "sale", -1, NOON + day * DAY_MS + n, f"{day}/{n}")
        points[day] = chain.stocks[45].reorder_point
    wednesday, thursday, friday = points[29], points[30], points[31]
    assert abs(wednesday - thursday) < 0.1 * thursday
    assert friday > 1.5 * thursday


def test_a_promotion_raises_the_reorder_point_ahead_of_its_start_and_lets_it_down_after():
    chain = Chain()
    chain.line(45, "count", 5_000, NOON - DAY_MS)
    points = {}
    chain.promote(45, Promotion("bread-week", 1, NOON + 6 * DAY_MS, NOON + 9 * DAY_MS, 200))
    for day in range(12):
        for n in range(120 if 6 <= day < 9 else 60):
            chain.line(45, "sale", -1, NOON + day * DAY_MS + n, f"day {day}/{n}")
        points[day] = chain.stocks[45].reorder_point
    assert 85 < points[4] < 105
    assert 180 < points[5] < points[8] < 210
    assert 85 < points[9] < 105  # what it sold more was the promotion's, not the product's


def test_an_older_revision_of_a_promotion_changes_nothing():
    chain = Chain()
    chain.promote(45, Promotion("bread-week", 2, NOON, NOON + DAY_MS, 100))
    version = chain.stocks[45].version
    chain.promote(45, Promotion("bread-week", 1, NOON, NOON + DAY_MS, 300))
    chain.promote(45, Promotion("bread-week", 2, NOON, NOON + DAY_MS, 100))
    assert chain.stocks[45].version == version
    assert [p.revision for p in chain.stocks[45].promotions] == [2]


def test_a_stock_take_entered_four_days_late_counts_at_its_own_time():
    chain = Chain()
    chain.line(45, "count", 100, NOON - 10 * DAY_MS)
    for day in range(-9, 1):
        chain.line(45, "sale", -3, NOON + day * DAY_MS)
    chain.line(45, "count", 60, NOON - 4 * DAY_MS - HOUR_MS)
    assert chain.stocks[45].level == 60 - 5 * 3
    assert chain.sent["stores"] == []


def test_what_a_till_sold_offline_for_four_days_leaves_the_shelf_once():
    chain = Chain()
    chain.line(45, "count", 100, NOON - 7 * DAY_MS)
    chain.line(45, "sale", -1, NOON)
    for n in range(40):
        chain.line(45, "sale", -1, NOON - 4 * DAY_MS + n * HOUR_MS, f"offline-{n}/1")
        chain.line(45, "sale", -1, NOON - 4 * DAY_MS + n * HOUR_MS, f"offline-{n}/1")
    assert chain.stocks[45].level == 59


def test_1000_lines_a_day_are_remembered_for_eight_days():
    stock, rules = Stock(), InventoryRules().stock
    for n in range(10_000):
        at_ms = NOON + n * DAY_MS // 1_000
        move(stock, Line("sale", f"t-{n}/1", 45, MILK, -1, at_ms), rules)
    late = Line("sale", "offline/1", 45, MILK, -1, at_ms - 8 * DAY_MS + HOUR_MS)
    assert move(stock, late, rules).outcome == "posted"
    assert move(stock, late, rules) is None
    assert len(stock.recent.records) <= 16 * 10_000


def test_a_horizon_made_longer_over_a_savepoint_takes_lines_before_what_was_remembered():
    stock = Stock()
    move(stock, Line("sale", "t-1/1", 45, MILK, -1, NOON), StockRules(72 * HOUR_MS, 4_096))
    late = Line("sale", "t-2/1", 45, MILK, -2, NOON - 5 * DAY_MS)
    assert move(stock, late, RULES.stock).outcome == "posted"
    assert [move(stock, line, RULES.stock) for line in (late,)] == [None]
    count = Line("count", "M:count-1/1", 45, MILK, 10, NOON - 6 * DAY_MS)
    move(stock, count, RULES.stock)
    assert stock.level == 10 - 1 - 2


def test_what_is_still_too_late_is_reported_by_line_or_by_document():
    chain = Chain()
    chain.line(45, "count", 100, NOON)
    chain.line(45, "count", 60, NOON - 9 * DAY_MS, "M:count-0045-7/3")
    chain.line(45, "sale", -1, NOON - 9 * DAY_MS, "offline/1")
    assert chain.stocks[45].level == 100
    document, till = chain.sent["stores"]
    assert (document.kind, document.document_id, document.document_kind) == (
        "late", "count-0045-7", "count",
    )  # fmt: skip
    assert (till.kind, till.document_id, till.day) == ("late", "", NOON // DAY_MS)


def with_an_order_of_170() -> tuple[Chain, str]:
    chain = milk_at_store_45()
    (order,) = chain.stocks[45].open_orders
    assert order.quantity == 170
    return chain, order.order_id


@pytest.mark.parametrize(
    "wrong",
    ["45-2000000000411-000099", "46-2000000000411-000001", "45-2000000000015-000001", "x-y"],
)
def test_a_delivery_under_a_wrong_order_leaves_nothing_on_order(wrong):
    """It stayed on order for 96 h beside the goods that had come."""
    chain, _ = with_an_order_of_170()
    chain.line(45, "delivery", 170, NOON, order=wrong)
    assert (chain.stocks[45].level, chain.stocks[45].on_order) == (200, 0)


def test_30_of_50_leave_20_on_order_until_the_patience_is_over():
    chain = Chain()
    chain.line(9003, "count", 5_000, NOON - DAY_MS)
    chain.line(45, "plan", 60, NOON)
    chain.line(45, "count", 10, NOON + 1)
    (order,) = chain.stocks[45].open_orders
    assert order.quantity == 50
    chain.line(45, "delivery", 30, NOON + HOUR_MS, "d-1", order.order_id)
    assert chain.stocks[45].on_order == 20
    # Well above its reorder point, the shelf is not reviewed: nothing took the 20 off.
    chain.line(45, "sale", -1, NOON + 97 * HOUR_MS)
    assert (chain.stocks[45].level, chain.stocks[45].on_order) == (39, 0)


def test_an_order_delivered_twice_under_two_documents_takes_nothing_off_another_and_is_told():
    chain, first = with_an_order_of_170()
    chain.line(45, "delivery", 170, NOON, "M:delivery-1/1", first)
    chain.line(45, "sale", -190, NOON + HOUR_MS)
    (second,) = chain.stocks[45].open_orders
    before = second.quantity
    chain.line(45, "delivery", 170, NOON + 2 * HOUR_MS, "M:delivery-2/1", first)
    assert chain.stocks[45].on_order == before
    (told,) = [n for n in chain.sent["notices"] if n.template == "order_not_open"]
    assert (told.recipient, told.cause) == ("store:45", f"{first}-delivery-2/1")
    assert told.params == {
        "product": MILK, "order_id": first, "document_id": "delivery-2", "quantity": 170,
    }  # fmt: skip


def test_more_than_was_ordered_closes_the_order_alone():
    chain, first = with_an_order_of_170()
    chain.line(45, "sale", -25, NOON)
    assert len(chain.stocks[45].open_orders) == 2
    chain.line(45, "delivery", 200, NOON + HOUR_MS, "d-1", first)
    (left,) = chain.stocks[45].open_orders
    assert left.order_id != first


def test_what_was_never_delivered_is_off_the_order_at_the_next_line_after_four_days():
    chain, _ = with_an_order_of_170()
    chain.line(45, "count", 200, NOON + HOUR_MS)
    chain.line(45, "sale", -1, NOON + 95 * HOUR_MS - HOUR_MS)
    assert chain.stocks[45].on_order == 170
    chain.line(45, "sale", -1, NOON + 96 * HOUR_MS)
    assert chain.stocks[45].on_order == 0


def test_a_count_error_is_told_once_an_episode():
    chain = Chain()
    chain.line(45, "count", 1, NOON)
    for n in range(4):
        chain.line(45, "sale", -1, NOON + n + 1)
    assert [n.template for n in chain.sent["notices"]] == ["stock_below_zero"]
    chain.line(45, "count", 5, NOON + 10)
    chain.line(45, "sale", -6, NOON + 11)
    assert len({n.notice_id for n in chain.sent["notices"]}) == 2


def test_goods_brought_back_do_not_end_a_count_error():
    chain = Chain()
    chain.line(45, "count", 1, NOON)
    for n in range(4):
        chain.line(45, "sale", -2, NOON + 2 * n + 1)
        chain.line(45, "refund", 2, NOON + 2 * n + 2)
    assert [n.template for n in chain.sent["notices"]] == ["stock_below_zero"]
    chain.line(45, "delivery", 10, NOON + 20)
    chain.line(45, "sale", -12, NOON + 21)
    assert len(chain.sent["notices"]) == 2


def test_low_stock_that_nobody_had_is_still_an_emergency_when_it_is_asked_for_again():
    chain = Chain()
    chain.line(45, "plan", 200, NOON)
    chain.line(45, "count", 40, NOON)
    chain.line(45, "sale", -28, NOON + 1)
    assert not chain.sent["orders"]
    chain.line(9003, "count", 5_000, NOON + HOUR_MS)
    chain.line(45, "sale", -1, NOON + 7 * HOUR_MS)
    (order,) = chain.sent["orders"]
    assert (order.emergency, order.quantity) == (True, 200 - 11)
    assert len(chain.sent["truck_routes"]) == 1
    assert [n.template for n in chain.sent["notices"]].count("low_stock") == 1


def test_a_request_that_comes_twice_is_answered_once():
    chain = milk_at_store_45()
    (request,) = chain.asked("order")
    level = chain.stocks[9003].level
    chain._take(9003, on_request, request)
    assert chain.stocks[9003].level == level
    assert len(chain.sent["orders"]) == 1


def test_an_order_nobody_delivers_is_given_up_and_made_again():
    chain = milk_at_store_45()
    assert len(chain.sent["orders"]) == 1
    chain.line(45, "sale", -1, NOON + 97 * HOUR_MS)
    assert len(chain.sent["orders"]) == 2


def still_open(chain: Chain) -> list[tuple[int, int]]:
    """(number of the order, pieces not delivered yet) of store 45."""
    return [(int(o.order_id[-6:]), o.quantity) for o in chain.stocks[45].open_orders]


def milk_on_two_orders() -> Chain:
    """170 pieces of a regular order, 38 of an emergency."""
    chain = milk_at_store_45()
    chain.line(45, "sale", -18, NOON)
    assert still_open(chain) == [(1, 170), (2, 38)]
    return chain


def test_a_delivery_that_names_no_order_settles_the_oldest_first():
    chain = milk_on_two_orders()
    chain.line(45, "delivery", 100, NOON + HOUR_MS)
    assert still_open(chain) == [(1, 70), (2, 38)]
    chain.line(45, "delivery", 80, NOON + 2 * HOUR_MS)
    assert still_open(chain) == [(2, 28)]


def test_more_than_was_ordered_settles_every_order_and_no_more():
    chain = milk_on_two_orders()
    chain.line(45, "delivery", 500, NOON + HOUR_MS)
    assert still_open(chain) == []
    assert chain.stocks[45].on_order == 0


def test_a_delivery_that_names_its_order_leaves_older_ones_open():
    chain = milk_on_two_orders()
    chain.line(45, "delivery", 38, NOON + HOUR_MS, order=f"45-{MILK}-000002")
    assert still_open(chain) == [(1, 170)]


def test_what_came_before_an_order_was_placed_cannot_be_its_delivery():
    chain = milk_on_two_orders()
    chain.line(45, "delivery", 60, NOON - HOUR_MS // 2)
    assert still_open(chain) == [(1, 110), (2, 38)]
    chain.line(45, "delivery", 60, NOON - 90 * 60_000)
    assert still_open(chain) == [(1, 110), (2, 38)]


def test_goods_of_a_nearby_store_are_no_delivery_of_an_order():
    chain = milk_on_two_orders()
    chain.line(45, "transfer_in", 30, NOON + HOUR_MS)
    assert still_open(chain) == [(1, 170), (2, 38)]


def test_what_an_unnamed_delivery_brought_and_is_sold_is_ordered_again():
    chain = milk_at_store_45()
    chain.line(45, "delivery", 170, NOON)
    chain.line(45, "sale", -160, NOON + HOUR_MS)
    assert [order.quantity for order in chain.sent["orders"]] == [170, 160]


def test_actions_are_json_of_texts_and_whole_numbers():
    chain = milk_at_store_45()
    chain.line(45, "sale", -18, NOON)
    for sent in chain.sent.values():
        for body in sent:
            assert msgspec.json.decode(msgspec.json.encode(body))
