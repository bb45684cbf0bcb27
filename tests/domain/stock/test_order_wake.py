"""When a shelf has a timer: one rule says it after an entry and when the timer is due."""

from __future__ import annotations

import pytest

from tillstream.domain.stock.assortment import Range, RangeOrder
from tillstream.domain.stock.ledger import DAY_MS, HOUR_MS, OpenOrder, Stock
from tillstream.domain.stock.order_wake import Seen, order_wake_ms, see_to_timer
from tillstream.domain.stock.replenishment import PlanningRules

NOON, STORE, MILK = 1_764_072_000_000, 45, "2000000000411"
RULES = PlanningRules()  # asks again after 6 h, waits 96 h for what is ordered
EARLY = NOON - 30 * HOUR_MS
DUE = order_wake_ms(NOON - 12 * HOUR_MS, STORE, MILK, RULES)
NEXT = order_wake_ms(NOON, STORE, MILK, RULES)
ENTRY, HALF_A_DAY_ON = Seen(None, NOON), Seen(None, NOON - 12 * HOUR_MS)


def shelf(level: int = 60, ordered_ms: int | None = None) -> Stock:
    orders = [] if ordered_ms is None else [OpenOrder(f"{STORE}-{MILK}-000001", 140, ordered_ms)]
    return Stock(level=level, count_ms=EARLY, newest_ms=NOON, reorder_point=50, open_orders=orders)


def orders(*actions: str) -> Range:
    found = Range({STORE: "ZA"})
    for n, action in enumerate(actions):
        by = RangeOrder(
            schema=1, assortment_id=f"range-{n:04d}", action=action, store=STORE,
            from_ms=EARLY + n, by="team:range",
        )  # fmt: skip
        found.put(by.key, found.after(by, None) or [])
    return found


@pytest.mark.parametrize(
    ("stock", "seen", "said", "waits"),
    [
        (shelf(), ENTRY, (), False),
        (shelf(40), ENTRY, (), False),  # a shelf that is sold from has lines
        (shelf(), Seen(None, NOON, True), (), True),
        (shelf(60, NOON), ENTRY, (), False),  # it has its timer since it ordered
        (shelf(60, NOON), HALF_A_DAY_ON, (), True),
        (shelf(40), ENTRY, ("close",), True),
        (shelf(60), ENTRY, ("close",), False),
        (shelf(40), ENTRY, ("close", "reopen"), False),
        (shelf(60, NOON), Seen(DUE), (), True),
        (shelf(60, NOON - 97 * HOUR_MS), Seen(DUE), (), False),  # nobody brings that any more
        (shelf(), Seen(DUE), (), False),
        (shelf(40), Seen(DUE), ("close",), True),
        (shelf(60), Seen(DUE), ("close",), False),
    ],
)
def test_a_shelf_waits_for_what_is_ordered_and_for_being_sold_from_again(stock, seen, said, waits):
    _, wake_at = see_to_timer(stock, STORE, MILK, seen, NOON, orders(*said), RULES)
    assert wake_at == (NEXT if waits else None)
    assert 6 * HOUR_MS <= NEXT - NOON <= 12 * HOUR_MS


def asked(stock: Stock, due_ms: int, *said: str) -> list[str]:
    actions, _ = see_to_timer(stock, STORE, MILK, Seen(due_ms), NOON, orders(*said), RULES)
    return [action.key.removeprefix(f"{STORE}-{MILK}-") for action in actions]


def test_what_is_on_order_where_nothing_is_sold_any_more_is_asked_about():
    assert asked(shelf(60, NOON), DUE, "close") == ["000000-ended"]
    assert asked(shelf(60), DUE, "close") == []


def test_a_shelf_that_is_sold_from_again_and_has_too_little_asks_itself():
    back = asked(shelf(40), DUE, "close", "reopen")
    assert back == [f"000000-back-{EARLY + 1}"]
    assert asked(shelf(60), DUE, "close", "reopen") == []


def test_what_nobody_had_is_asked_for_again_by_its_own_timer():
    stock = shelf(40)
    stock.no_order_before_ms = NOON
    stock.demand.day = NOON // DAY_MS
    assert asked(stock, NOON) == ["000000-retry"]
    assert asked(stock, NOON - 1_000) == []
