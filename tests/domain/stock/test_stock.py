"""The stock of a product in a store, in the words of those who count it."""

from __future__ import annotations

import copy
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.domain.stock.inventory import InventoryRules, on_line
from tillstream.domain.stock.ledger import Line, Stock, StockRules
from tillstream.domain.stock.network import NOBODY

NOON = 1_764_072_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
MILK = "2000000000411"
RULES = InventoryRules()


def line(kind: str, quantity: int, at_ms: int = NOON, name: str | None = None) -> Line:
    name = name or f"{kind}-{at_ms}-{quantity}"
    return Line(kind, name, 45, MILK, quantity, at_ms)


def play(lines, stock: Stock | None = None, rules: InventoryRules = RULES):
    """The stock and the ledger after ``lines``."""
    ledger = []
    for each in lines:
        after, entry, _ = on_line(copy.deepcopy(stock), each, NOBODY, rules)
        if after is not None:
            stock = after
            ledger.append(entry)
    return stock, ledger


def test_a_sale_takes_from_the_shelf_and_the_ledger_says_from_what_to_what():
    stock, ledger = play([line("count", 200), line("sale", -3, NOON + 1)])
    assert stock.level == 197
    sale = ledger[-1]
    assert (sale.old_quantity, sale.new_quantity, sale.moved) == (200, 197, -3)
    assert (sale.store, sale.product, sale.version, sale.outcome) == (45, MILK, 2, "posted")


@pytest.mark.parametrize(
    ("kind", "quantity", "left"),
    [("delivery", 60, 160), ("transfer_in", 12, 112), ("transfer_out", -12, 88),
     ("write_off", -5, 95), ("refund", 1, 101), ("void", 2, 102)],
)  # fmt: skip
def test_everything_else_that_moves_stock(kind, quantity, left):
    stock, _ = play([line("count", 100), line(kind, quantity, NOON + 1)])
    assert stock.level == left


def test_the_same_line_again_changes_nothing():
    sale = line("sale", -3, NOON + 1)
    stock, ledger = play([line("count", 200), sale, sale])
    assert (stock.level, len(ledger)) == (197, 2)


def test_a_sale_before_the_count_that_comes_after_it_does_not_move_the_count():
    stock, ledger = play([line("count", 50), line("sale", -3, NOON - MINUTE)])
    assert stock.level == 50
    assert (ledger[-1].outcome, ledger[-1].moved) == ("before_count", 0)
    assert ledger[-1].behind_ms == MINUTE


def test_a_count_that_comes_late_keeps_the_sales_after_it():
    stock, ledger = play(
        [line("count", 100), line("sale", -3, NOON + 10), line("sale", -4, NOON + 30),
         line("count", 90, NOON + 20)]
    )  # fmt: skip
    assert stock.level == 86
    assert (ledger[-1].outcome, ledger[-1].old_quantity) == ("counted", 93)


def test_a_count_older_than_the_latest_is_superseded():
    stock, ledger = play([line("count", 100), line("count", 7, NOON - MINUTE)])
    assert (stock.level, ledger[-1].outcome) == (100, "superseded")


def test_less_than_nothing_is_shown_and_flagged_until_it_is_put_right():
    stock, ledger = play(
        [line("count", 1), line("sale", -3, NOON + 1), line("sale", -1, NOON + 2),
         line("count", 9, NOON + 3)]
    )  # fmt: skip
    assert [e.new_quantity for e in ledger] == [1, -2, -3, 9]
    assert [e.below_zero for e in ledger] == [False, True, True, False]
    assert (stock.belows, stock.below_zero) == (1, False)


def test_a_line_older_than_the_horizon_has_no_effect_and_the_ledger_says_so():
    rules = InventoryRules(stock=StockRules(horizon_ms=72 * HOUR))
    stock, ledger = play([line("count", 10), line("sale", -3, NOON - 73 * HOUR)], rules=rules)
    assert (stock.level, ledger[-1].outcome, ledger[-1].moved) == (10, "too_late", 0)


def test_the_memory_of_a_busy_product_is_bounded_and_no_duplicate_counts():
    rules = InventoryRules(stock=StockRules(max_lines=100))
    sales = [line("sale", -1, NOON + n, f"sale {n}") for n in range(1000)]
    stock, _ = play([line("count", 5000, NOON - 1), *sales], rules=rules)
    again, ledger = play(sales, stock, rules)
    assert (stock.level, again.level) == (4000, 4000)
    assert {entry.outcome for entry in ledger} == {"too_late"}
    assert len(stock.recent.records) <= 100 * 16


kinds = st.sampled_from(["sale", "refund", "delivery", "write_off", "count", "transfer_out"])
events = st.lists(
    st.tuples(kinds, st.integers(0, 30), st.integers(0, 71 * HOUR), st.booleans()), max_size=40
)


@given(events, st.randoms(use_true_random=False))
def test_the_order_of_arrival_makes_no_difference_to_the_level(rows, shuffle: random.Random):
    lines = []
    for n, (kind, pieces, at, twice) in enumerate(rows):
        signed = -pieces if kind in ("sale", "write_off", "transfer_out") else pieces
        made = line(kind, signed, NOON + at, f"line {n:03d}")
        lines += [made, made] if twice else [made]
    shuffle.shuffle(lines)
    stock, ledger = play(lines)
    counts = [x for x in lines if x.kind == "count"]
    last = max(counts, key=lambda x: (x.event_time_ms, x.line_id), default=None)
    moves = {x.line_id: x for x in lines if x.kind != "count"}.values()
    since = last.event_time_ms if last else -1
    wanted = (last.quantity if last else 0) + sum(
        x.quantity for x in moves if x.event_time_ms > since
    )
    assert (stock.level if stock else 0) == wanted
    for before, after in itertools.pairwise(ledger):
        assert (after.version, after.old_quantity) == (before.version + 1, before.new_quantity)
