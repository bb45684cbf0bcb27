"""One clock that is ahead costs its own record at most: in every job, by the same rule."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.batched_harness import BatchedHarness
from tests.support.fraud_chain import Chain, label_of
from tests.support.fraud_chain import sale as by_card
from tests.support.harness import KeyedHarness
from tests.support.sales import T0, encoded, sale
from tillstream.conf import load
from tillstream.domain.envelope import seal
from tillstream.domain.stock.inventory import InventoryRules
from tillstream.state_schemas.keyed import fraud_counters, stock
from tillstream.udfs.intake import intake_once
from tillstream.udfs.inventory import StockDocuments, StockLedger
from tillstream.udfs.stage import StageSettings

MINUTE_MS, HOUR_MS, YEAR_MS = 60_000, 3_600_000, 365 * 86_400_000
FAR_AHEAD = (6 * MINUTE_MS, HOUR_MS, YEAR_MS, 4_000_000_000_000 - T0)
SETTINGS = StageSettings("job")
MILK = "2000000000411"


def front_door() -> BatchedHarness:
    """What it refuses comes to no other job."""
    return BatchedHarness(intake_once(load("local")))


@pytest.mark.parametrize("ahead_ms", FAR_AHEAD)
def test_a_sale_of_the_future_is_a_dead_letter_and_leaves_no_trace(ahead_ms):
    harness = front_door()
    raw = encoded(sale(event_time_ms=T0 + ahead_ms))
    assert harness.process(("1", seal("kafka:tills/0/1", T0, raw))) == []
    (letter,) = map(json.loads, harness.side["dead-letters"])
    assert letter["reason"] == "clock_ahead"
    assert harness.state == {}


def test_a_sale_a_little_ahead_is_taken():
    harness = front_door()
    raw = encoded(sale(event_time_ms=T0 + 4 * MINUTE_MS))
    harness.process(("1", seal("kafka:tills/0/1", T0, raw)))
    assert harness.side["dead-letters"] == []
    assert harness.state


@pytest.mark.parametrize("ahead_ms", FAR_AHEAD)
def test_fraud_takes_no_verdict_of_the_future(ahead_ms):
    chain = Chain()
    chain.send(label_of(by_card(2), True) | {"labelled_ms": T0 + ahead_ms}, T0, "fraud-labels")
    assert [letter["reason"] for letter in chain.out["dead-letters"]] == ["clock_ahead"]
    assert chain.till.state == chain.card.state == chain.judge.state == {}


def test_a_till_a_little_ahead_does_not_switch_a_card_s_counters_off():
    chain = Chain(audit_passes=True)
    chain.send(by_card(1, T0 + 4 * MINUTE_MS), arrived_ms=T0)
    chain.send(by_card(2, T0 + 10_000, till=9), arrived_ms=T0 + 10_000)
    (card,) = chain.card.state.values()
    kept = fraud_counters.decode(card)
    assert sum(kept.windows[0][1::3]) == 2  # of the minute
    assert kept.newest_ms == T0 + 10_000
    (profile,) = chain.judge.state.values()
    assert chain.judge.function.codec.decode(profile).newest_ms == T0 + 10_000


# -- stock -----------------------------------------------------------------------------------------


def movement(kind: str, at_ms: int, pieces: int) -> bytes:
    return json.dumps(
        {
            "schema": 1, "document_id": f"0045-{kind}-{at_ms}", "kind": kind, "store": 45,
            "event_time_ms": at_ms, "lines": [{"product": MILK, "quantity": pieces}],
        }
    ).encode()  # fmt: skip


def lines_of(raw: bytes, arrived_ms: int) -> Iterator[tuple[str, bytes]]:
    documents = KeyedHarness(StockDocuments(SETTINGS, {"moves": "movement"}, (45,)))
    for row in documents.process("k", seal("kafka:moves/0/1", arrived_ms, raw)):
        yield row[0], row[1]


def test_a_scanner_a_little_ahead_does_not_close_its_shelf():
    ledger = BatchedHarness(StockLedger(SETTINGS, InventoryRules(), {}, {}))
    for raw in (movement("count", T0 + 4 * MINUTE_MS, 40), movement("delivery", T0 + 1, 8)):
        ledger.process(*lines_of(raw, T0))
    (kept,) = ledger.state.values()
    assert stock.decode(kept).newest_ms == T0


def test_a_till_a_little_ahead_does_not_close_its_shelf():
    ledger = BatchedHarness(StockLedger(SETTINGS, InventoryRules(), {}, {}))
    line = ["sale", "sale-1/1", 45, MILK, -1, T0 + 4 * MINUTE_MS, None, T0]
    ledger.process((f"45/{MILK}", b"L" + json.dumps(line).encode()))
    (kept,) = ledger.state.values()
    assert stock.decode(kept).newest_ms == T0
