"""A promotion of hundreds of products in all stores is taken in a bounded memory, all of it or none."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from pyflink.common import Row, Types

from tests.support import ROOT
from tests.support.collected import collected
from tests.support.engine import engine
from tests.support.failing import letters
from tests.support.harness import KeyedHarness
from tests.udfs import test_inventory_functions as stock
from tests.udfs import test_shortage_functions as shelves
from tillstream.connectors import sources
from tillstream.domain.envelope import seal
from tillstream.udfs import inventory, shortage
from tillstream.udfs.engine import BYTES

ANNOUNCED = json.loads(
    (ROOT / "state_schemas/events/promotion/examples/valid/everywhere.json").read_bytes()
)
MIB = 1 << 20


def announced(products: int) -> bytes:
    names = [f"{2_000_000_000_000 + n}" for n in range(products)]
    raw = json.dumps(ANNOUNCED | {"products": names}).encode()
    return seal("kafka:promos/0/1", stock.T0, raw)


def by_product(stores: int) -> inventory.StockDocuments:
    return inventory.StockDocuments(stock.SETTINGS, stock.KINDS, tuple(range(1, stores + 1)))


def by_store(stores: int) -> shortage.PromotionsByStore:
    return shortage.PromotionsByStore(shelves.SETTINGS, tuple(range(1, stores + 1)))


@pytest.mark.parametrize(
    ("make", "stores", "products", "rows"),
    [(by_product, 100, 500, 50_000), (by_store, 2900, 500, 2900)],
    ids=["inventory", "shortage"],
)
def test_memory_does_not_grow_with_the_rows(make, stores, products, rows):
    stage = make(stores)
    harness, record = KeyedHarness(stage), announced(products)
    tracemalloc.start()
    try:
        made = sum(1 for _ in stage.process_element(record, harness._context))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert made == rows
    assert peak < 2 * MIB


@pytest.mark.parametrize(
    ("make", "module", "rule"),
    [(by_product, inventory.stock_passing, "to_ledger"), (by_store, shortage, "seal")],
    ids=["inventory", "shortage"],
)
def test_a_rule_that_raises_at_the_last_row_leaves_a_dead_letter_and_no_row(
    make: Callable[[int], Any], module: Any, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness, real = KeyedHarness(make(3)), getattr(module, rule)
    calls = iter(range(1, 99))
    last = len(KeyedHarness(make(3)).process("k", announced(2)))

    def fails_at_last(*arguments):
        if next(calls) == last:
            raise KeyError("what must not be written down")
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, rule, fails_at_last)
        assert harness.process("k", announced(2)) == []
    (letter,) = letters(harness)
    assert (letter["reason"], letter["origin"]) == ("rule_failed", "kafka:promos/0/1")
    assert len(harness.process("k", announced(2))) == last
    assert len(letters(harness)) == 1


def test_the_engine_takes_the_rows_one_by_one():
    """It pulls each when the one before it has gone on: nothing in it makes a list of them."""
    env = engine()
    rows = env.from_collection(
        [Row("promo", announced(50))], Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
    )
    made = sources.keyed(rows).process(by_product(20), inventory.LINES)
    keys = made.map(lambda row: row[0].encode(), BYTES)
    expected = [row[0].encode() for row in KeyedHarness(by_product(20)).process("k", announced(50))]
    assert collected(keys) == expected
