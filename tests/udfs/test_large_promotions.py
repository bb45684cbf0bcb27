"""A promotion of hundreds of products in all stores is taken in a bounded memory, all of it or none."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from pyflink.common import Row, Types
from pyflink.datastream import DataStream
from pyflink.datastream.time_domain import TimeDomain

from tests.support import ROOT
from tests.support.collected import collected
from tests.support.engine import engine, stopped
from tests.support.failing import letters
from tests.support.harness import KeyedHarness
from tests.support.wait import wait_for
from tests.udfs import test_inventory_functions as stock
from tests.udfs import test_shortage_functions as shelves
from tests.udfs.test_timers_are_faithful import ROWS
from tillstream.connectors import batched, sources
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
        harness.domain = TimeDomain.PROCESSING_TIME
        while harness.alarms:
            at_ms, _ = harness.alarms.pop()
            made += sum(1 for _ in stage.on_timer(at_ms, harness._context))
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


def test_rows_of_one_promotion_come_in_pieces_each_once():
    harness = KeyedHarness(by_product(103))
    first = harness.process("k", announced(40))
    assert len(first) == 480  # whole stores, 500 at most
    assert len(harness.wait(99)) == 0
    assert len(harness.wait(1)) == 480
    harness.wait(10_000)
    assert len(harness.main) == len({row[0] for row in harness.main}) == 103 * 40
    assert not harness.alarms
    assert "document-rest" not in harness.state["k"]


def test_a_revision_that_comes_meanwhile_waits_for_its_turn_and_is_made_whole():
    harness = KeyedHarness(by_product(50))
    harness.process("k", announced(100))
    harness.process("k", announced(200))
    harness.process("small", announced(2))
    harness.wait(10_000)
    assert len(harness.main) == 50 * (100 + 200 + 2)
    assert not any(harness.state.values())


def test_a_piece_that_fails_is_a_dead_letter_and_the_next_record_goes_on(monkeypatch):
    harness = KeyedHarness(by_product(50))
    harness.process("k", announced(100))
    harness.process("k", announced(200))
    real = inventory.stock_passing.to_ledger

    def fails(line: Any) -> bytes:
        raise KeyError("what must not be written down")

    with monkeypatch.context() as patch:
        patch.setattr(inventory.stock_passing, "to_ledger", fails)
        harness.wait(100)
    assert inventory.stock_passing.to_ledger is real
    (letter,) = letters(harness)
    assert (letter["reason"], letter["origin"]) == ("rule_failed", "kafka:promos/0/1")
    harness.wait(10_000)
    assert len(harness.main) == 5 * 100 + 50 * 200


def test_a_savepoint_amid_the_pieces_loses_and_doubles_none(tmp_path):
    def numbered(number: int) -> Row:
        time.sleep(0.05)
        return Row("promo", announced(50)) if number == 0 else Row("other", b"junk")

    def noted(row: Row) -> bytes:
        if isinstance(row[0], str):  # else it is for a side output
            with (tmp_path / "made").open("a") as file:
                file.write(f"{row[0]}\n")
        return b"x"

    def running(**settings: str) -> Any:
        env = engine(**settings)
        java = env._j_stream_execution_environment
        numbers = batched.java().org.apache.flink.api.connector.source.lib.NumberSequenceSource(
            0, 2**40
        )
        marks = (
            batched.java().org.apache.flink.api.common.eventtime.WatermarkStrategy.noWatermarks()
        )
        source = DataStream(java.fromSource(numbers, marks, "numbers").uid("numbers"))
        stage = by_product(20)
        stage.at_once = 50
        rows = sources.keyed(source.map(numbered, ROWS).uid("rows"))
        made = rows.process(stage, inventory.LINES).uid("documents")
        made.map(noted, BYTES).uid("noted").print().uid("end")
        return env.execute_async()

    def lines() -> list[str]:
        return (tmp_path / "made").read_text().split() if (tmp_path / "made").exists() else []

    job = running()
    wait_for(lambda: len(lines()) >= 200, 60, "some pieces")
    saved = stopped(job, f"file://{tmp_path}/saved")
    before = len(lines())
    assert 200 <= before < 1_000
    job = running(**{"execution.state-recovery.path": saved})
    try:
        wait_for(lambda: len(lines()) >= 1_000, 60, "the others")
        time.sleep(1)
    finally:
        job.cancel().result()
    expected = [f"{store}/{2_000_000_000_000 + n}" for store in range(1, 21) for n in range(50)]
    assert sorted(lines()) == sorted(expected)


def test_the_engine_takes_the_rows_one_by_one():
    """It pulls each when the one before it has gone on: nothing in it makes a list of them."""
    env = engine()
    rows = env.from_collection(
        [Row("promo", announced(50))], Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
    )
    made = sources.keyed(rows).process(by_product(10), inventory.LINES)
    keys = made.map(lambda row: row[0].encode(), BYTES)
    expected = [row[0].encode() for row in KeyedHarness(by_product(10)).process("k", announced(50))]
    assert collected(keys) == expected
