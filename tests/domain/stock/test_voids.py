"""A void of contract v1 looks the same whether it undoes a sale or a refund: the shelf knows which."""

from __future__ import annotations

import copy
from itertools import permutations

import pytest

from tests.domain.stock.test_stock import HOUR, NOON, line, play
from tillstream.domain.stock.ledger import Line, Stock
from tillstream.state_schemas.keyed.stock import CODEC


def void(name: str, undoes: str, pieces: int = 2, at_ms: int = NOON + 3 * HOUR) -> Line:
    made = line("void", pieces, at_ms, name)
    made.undoes = undoes
    return made


def level(*lines: Line) -> int:
    stock, ledger = play(copy.deepcopy(lines))
    before = 0
    for entry in ledger:
        assert (entry.old_quantity, entry.new_quantity) == (before, before + entry.moved)
        before = entry.new_quantity
    return stock.level


COUNT = line("count", 10, NOON)
SALE = line("sale", -2, NOON + HOUR, "s/1")
REFUND = line("refund", 2, NOON + 2 * HOUR, "r/1")
VOID = void("v/1", "r/1")


def test_a_void_of_a_return_takes_its_goods_off_the_shelf_again():
    assert level(COUNT, SALE, REFUND) == 10
    assert level(COUNT, SALE, REFUND, VOID) == 8


@pytest.mark.parametrize("order", permutations(range(4)), ids=str)
def test_whatever_comes_first_and_however_often_it_counts_once(order):
    lines = [(COUNT, SALE, REFUND, VOID)[n] for n in order]
    assert level(*lines) == 8
    assert level(*lines, *lines) == 8
    assert level(*(one for one in lines for _ in range(2))) == 8


def test_a_void_of_a_sale_brings_back_as_before():
    undone = void("v/1", "s/1")
    for lines in permutations((COUNT, SALE, undone)):
        assert level(*lines) == 10


@pytest.mark.parametrize("order", permutations(range(3)), ids=str)
def test_a_count_between_a_return_and_its_void_has_seen_the_return_alone(order):
    between = line("count", 10, NOON + 2 * HOUR + 1)
    assert level(*((REFUND, VOID, between)[n] for n in order)) == 8


@pytest.mark.parametrize("order", permutations(range(3)), ids=str)
def test_a_count_after_a_return_and_its_void_has_seen_both(order):
    after = line("count", 10, NOON + 4 * HOUR)
    assert level(*((REFUND, VOID, after)[n] for n in order)) == 10


@pytest.mark.parametrize("order", permutations(range(5)), ids=str)
def test_a_void_of_that_void_puts_them_back(order):
    lines = (COUNT, SALE, REFUND, VOID, void("w/1", "v/1", at_ms=NOON + 4 * HOUR))
    assert level(*(lines[n] for n in order)) == 10


def test_of_two_lines_of_a_return_each_is_undone():
    lines = (
        line("refund", 1, NOON + 1, "r/1"), line("refund", 3, NOON + 1, "r/2"),
        void("v/1", "r/1", 1), void("v/2", "r/2", 3),
    )  # fmt: skip
    for order in permutations(lines):
        assert level(COUNT, *order) == 10


def test_voids_that_undo_each_other_in_a_ring_end():
    ring = [void("a/1", "b/1"), void("b/1", "c/1"), void("c/1", "a/1")]
    assert level(COUNT, *ring, *ring) in (8, 10, 12, 14, 16)
    assert level(COUNT, void("a/1", "a/1")) in (8, 12)


def test_what_was_kept_of_a_void_is_still_turned_after_a_restore():
    stock, _ = play([copy.deepcopy(COUNT), copy.deepcopy(VOID)])
    kept: Stock = CODEC.decode(CODEC.writer({})(stock))
    assert kept.level == 12
    after, (entry,) = play([copy.deepcopy(REFUND)], kept)
    assert (after.level, entry.quantity, entry.moved) == (10, 2, -2)
