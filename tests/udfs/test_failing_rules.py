"""A record on which a rule raises becomes a dead letter, and all else is as if it had not come."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyflink.common import Row, Types

from tests.support.batched_harness import BatchedHarness
from tests.support.collected import collected
from tests.support.engine import engine
from tests.support.failing import letters, raising, says
from tests.support.fraud_chain import LABELS, T0, TRANSACTIONS, Chain, as_read, label_of, sale
from tests.support.sales import canonical
from tillstream.connectors import batched as connector
from tillstream.connectors import sources
from tillstream.domain.card_numbers import passes_luhn
from tillstream.domain.demand.model import DemandRules
from tillstream.domain.envelope import seal
from tillstream.domain.loyalty.ledger import LoyaltyRules
from tillstream.domain.shortage.shelves import ShortageRules
from tillstream.domain.stock.inventory import InventoryRules
from tillstream.udfs import (
    archive,
    fraud,
    inventory,
    loyalty,
    shortage,
    stage,
)
from tillstream.udfs.engine import BYTES
from tillstream.udfs.fraud import counters as fraud_counters
from tillstream.udfs.stage import StageSettings, TooManyFailed

BAD = "0023-04-2025-000013"
LOYALTY = StageSettings("loyalty")


def sealed(number: int, **changes) -> bytes:
    raw = canonical(sale(number, T0 + number, **changes), arrived_ms=T0 + number + 50)
    return seal(f"kafka:tills/0/{number}", T0 + number + 50, raw)


def ledger() -> BatchedHarness:
    return BatchedHarness(loyalty.LoyaltyLedger(LOYALTY, LoyaltyRules()))


@settings(max_examples=60, deadline=None)
@given(
    customers=st.lists(st.integers(0, 2), min_size=1, max_size=30),
    bad=st.sets(st.integers(0, 29), min_size=1, max_size=5),
    size=st.integers(1, 30),
)
def test_all_else_is_as_if_it_had_not_come(customers, bad, size):
    records = []
    for n, who in enumerate(customers):
        key = f"C000000000{who}"
        records.append((key, sealed(n, customer_id=key, points_to_redeem=2 if n % 4 == 3 else 0)))
    names = {f"0023-04-2025-{n:06d}" for n in bad}
    with pytest.MonkeyPatch.context() as patch:
        raising(patch, loyalty, "apply", lambda state, txn, *_: txn.transaction_id in names)
        failing = ledger()
        for at in range(0, len(records), size):
            failing.process(*records[at : at + size])
    alone = ledger()
    for n, record in enumerate(records):
        if n not in bad:
            alone.process(record)
    assert failing.state == alone.state
    assert failing.main == alone.main
    assert failing.side["notices"] == alone.side["notices"]
    told = [x for x in letters(failing) if x["reason"] == "rule_failed"]
    assert {x["origin"] for x in told} == {f"kafka:tills/0/{n}" for n in bad if n < len(records)}


def test_the_letter_has_bytes_and_origin_and_no_value(monkeypatch):
    raising(monkeypatch, loyalty, "apply", lambda state, txn, *_: txn.transaction_id == BAD)
    harness = ledger()
    harness.process(("C1", sealed(12)), ("C1", sealed(13)), ("C1", sealed(14)))
    (letter,) = letters(harness)
    says(letter, sealed(13).partition(b"\n")[2])
    assert letter["origin"] == "kafka:tills/0/13"
    assert len(harness.main) == 2


def test_of_the_archive(monkeypatch):
    raising(monkeypatch, archive, "with_place", lambda _, receipt: receipt.transaction_id == BAD)
    harness = BatchedHarness(archive.ArchiveOnce(StageSettings("archive")))
    written = {n: canonical(sale(n, T0 + n)) for n in (12, 13, 14)}
    made = harness.process(
        *((str(n), seal(f"kafka:transactions/0/{n}", T0, raw)) for n, raw in written.items())
    )
    (letter,) = letters(harness)
    says(letter, written[13])
    assert len(made) == len(harness.state) == 2


@pytest.mark.parametrize("module", [fraud_counters, fraud])
def test_of_the_fraud_job(monkeypatch, module):
    name = "read" if module is fraud_counters else "judge_both"
    bad = sale(13, T0 + 13)

    def is_bad(*arguments):
        found = arguments[0].raw if name == "read" else arguments[1].transaction_id.encode()
        return BAD.encode() in found

    raising(monkeypatch, module, name, is_bad)
    chain, without = Chain(audit_passes=True), Chain(audit_passes=True)
    chain.send_all([sale(n, T0 + n) for n in range(20)])
    (letter,) = chain.out["dead-letters"]
    says(letter, as_read(TRANSACTIONS, bad, T0 + 13 + 50))
    monkeypatch.undo()
    without.send_all([sale(n, T0 + n) for n in range(20) if n != 13])
    if module is fraud_counters:
        assert chain.till.state == without.till.state
        assert chain.judge.state == without.judge.state
        assert chain.out["audit"] == without.out["audit"]
    else:
        assert len(chain.out["audit"]) == len(without.out["audit"]) == 19


def test_of_a_verdict(monkeypatch):
    raising(monkeypatch, fraud, "apply_label", lambda *_: True)
    chain = Chain()
    sold = sale(1)
    chain.send(sold)
    chain.label(label_of(sold, True))
    (letter,) = chain.out["dead-letters"]
    assert letter["origin"].startswith("fraud:")
    verdict = json.loads(base64.b64decode(letter["raw_b64"]))
    assert (verdict["transaction_id"], verdict["fraud"]) == (sold["transaction_id"], True)
    assert LABELS not in letter["origin"]


def test_of_a_stock_line(monkeypatch):
    raising(monkeypatch, inventory, "on_line", lambda stock, line, *_: line.line_id == "bad")
    gtin = "6009150008063"  # passes the check of card numbers, as one in ten does
    assert passes_luhn(gtin)
    lines = [
        ("45/1", b"L" + json.dumps(["sale", name, 45, gtin, -1, T0 + n]).encode())
        for n, name in enumerate(("one", "bad", "two"))
    ]
    harness = BatchedHarness(
        inventory.StockLedger(StageSettings("inventory"), InventoryRules(), {}, {})
    )
    harness.process(*lines)
    (letter,) = letters(harness)
    says(letter, lines[1][1][1:])
    alone = BatchedHarness(
        inventory.StockLedger(StageSettings("inventory"), InventoryRules(), {}, {})
    )
    alone.process(lines[0], lines[2])
    assert harness.state == alone.state
    assert harness.main == alone.main


def watch() -> BatchedHarness:
    rules = ShortageRules(demand=DemandRules())
    settings_ = StageSettings("shortage")
    return BatchedHarness(
        shortage.ShelfWatch(
            settings_, rules, frozenset({"groceries"}), "stock-changes", 600_000, {}
        )
    )


def test_of_a_store_s_basket_whose_timer_is_not_set_either(monkeypatch):
    raising(monkeypatch, shortage, "apply_basket", lambda store, state, basket, *_: True)
    harness = watch()
    harness.process(("23", sealed(13)))
    (letter,) = letters(harness)
    says(letter, sealed(13).partition(b"\n")[2])
    assert (harness.state, harness.timers) == ({}, set())


def test_what_a_store_s_looks_left_beside_the_state_is_forgotten_with_it(monkeypatch):
    """`quiet` holds shelves that need no look in the state as written: a batch that failed wrote none."""
    records = [("23", sealed(n, pieces=1 + n % 3)) for n in range(200)]
    alone = watch()
    for number, record in enumerate(records):
        if number % 50 != 13:
            alone.process(record)
    bad = {f"0023-04-2025-{n:06d}" for n in range(13, 200, 50)}
    real = shortage.shortage_events.basket
    monkeypatch.setattr(
        shortage.shortage_events,
        "basket",
        lambda seen, *more: 1 / 0 if seen.transaction_id in bad else real(seen, *more),
    )
    harness = watch()
    for at in range(0, 200, 40):
        harness.process(*records[at : at + 40])
    assert len(letters(harness)) == 4
    assert harness.state == alone.state
    assert harness.main == alone.main


def test_a_release_that_fails_on_everything_stops(monkeypatch):
    raising(monkeypatch, loyalty, "apply", lambda *_: True)
    monkeypatch.setattr(stage, "MOST_FAILED", 10)
    harness = ledger()
    harness.process(*(("C1", sealed(n)) for n in range(10)))
    with pytest.raises(TooManyFailed, match=r"LoyaltyLedger failed on 11 records.* release before"):
        harness.process(("C1", sealed(11)))


def test_a_state_that_cannot_be_read_stops(monkeypatch):
    harness = ledger()
    harness.state["C1"] = b"\xffnot a state"
    with pytest.raises(ValueError, match="state"):
        harness.process(("C1", sealed(1)))
    assert harness.side["dead-letters"] == []


def test_too_little_memory_is_not_the_record_s_fault(monkeypatch):
    def rule(*_):
        raise MemoryError

    monkeypatch.setattr(loyalty, "apply", rule)
    with pytest.raises(MemoryError):
        ledger().process(("C1", sealed(1)))


def test_on_the_engine_too():
    class Failing(loyalty.LoyaltyLedger):
        def record(self, state, value, out):
            after = super().record(state, value, out)
            if b"-000013" in value:
                raise KeyError("13")
            return after

    env = engine()
    row = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
    records = [(f"C000000000{n % 3}", n) for n in range(30)]
    rows = [Row(key, sealed(n, customer_id=key)) for key, n in records]
    made = connector.process(
        None, sources.keyed(env.from_collection(rows, row)), None, Failing(LOYALTY, LoyaltyRules()),
        state="loyalty", uid="u", name="n", batch_size=16,
    )  # fmt: skip
    both = made.union(connector.side(made, "dead-letters"))
    found = [json.loads(value) for value in collected(both)]
    (letter,) = [one for one in found if "dead_letter_id" in one]
    assert (letter["reason"], letter["origin"]) == ("rule_failed", "kafka:tills/0/13")
    alone = ledger()
    for key, n in records:
        if n != 13:
            alone.process((key, sealed(n, customer_id=key)))
    wanted = sorted(json.loads(value)["entry_id"] for value in alone.main)
    assert sorted(one["entry_id"] for one in found if "entry_id" in one) == wanted
