"""The simulator: the same bytes for the same seed, faults at their rates, every good record valid."""

from __future__ import annotations

import json
import threading
from collections import Counter
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tillstream.check.sent import read_truth
from tillstream.domain.transaction import REASONS, InvalidTransaction, parse
from tillstream.sim.malformed import KINDS
from tillstream.sim.runner import run
from tillstream.sim.simulator import LATE_MS, Faults, Sent, Simulator
from tillstream.sim.truth import TruthWriter
from tillstream.sim.world import UnknownProfile, load_products, load_stores, profile_names

START = 1_795_500_000_000
FAULTS = Faults(duplicates=0.02, malformed=0.03, late=0.05, out_of_order=0.04)


def simulate(count: int = 20_000, seed: int = 7, **how: Any) -> list[Sent]:
    how = {"faults": FAULTS, "start_ms": START, "customers": 500, **how}
    return list(Simulator(how.pop("profile", "normal"), seed, count=count, **how))


@pytest.fixture(scope="module")
def sent() -> list[Sent]:
    return simulate()


def test_the_same_seed_and_start_send_the_same_bytes(sent: list[Sent]) -> None:
    assert [s.raw for s in sent] == [s.raw for s in simulate()]
    assert [s.raw for s in sent[:50]] != [s.raw for s in simulate(50, seed=8)]


def test_two_seeds_share_no_transaction_and_no_customer(sent: list[Sent]) -> None:
    other = {s.key for s in simulate(2000, seed=8)}
    assert not other & {s.key for s in sent}


def test_faults_come_at_their_rates(sent: list[Sent]) -> None:
    assert len(sent) == 20_000
    classes = Counter(s.klass for s in sent)
    for name in ("duplicate", "malformed", "late", "out_of_order"):
        share = getattr(
            FAULTS, name if name in ("malformed", "late", "out_of_order") else "duplicates"
        )
        assert classes[name] == pytest.approx(share * 20_000, rel=0.15)
    assert classes["ok"] == 20_000 - sum(classes[n] for n in classes if n != "ok")


def test_a_third_is_anonymous_and_the_mix_is_the_profiles(sent: list[Sent]) -> None:
    records = [s.record for s in sent if s.record]
    assert sum("customer_id" not in r for r in records) / len(records) == pytest.approx(
        0.35, abs=0.02
    )
    kinds = Counter(r["kind"] for r in records)
    assert kinds["refund"] / len(records) == pytest.approx(0.025, abs=0.008)
    assert kinds["void"] / len(records) == pytest.approx(0.007, abs=0.004)
    assert {r["payment_method"] for r in records} == {"card", "cash", "mobile", "gift_card", "eft"}


def test_every_good_record_is_valid_and_every_malformed_one_is_not(sent: list[Sent]) -> None:
    for s in sent:
        if s.klass == "malformed":
            with pytest.raises(InvalidTransaction) as refused:
                parse(s.raw)
            assert refused.value.reason in REASONS
        else:
            transaction = parse(s.raw)
            assert s.key == (transaction.customer_id or transaction.transaction_id)
    assert {s.damage for s in sent if s.damage} == set(KINDS)


def test_a_reversal_refers_to_a_sale_that_was_sent_by_the_same_customer(sent: list[Sent]) -> None:
    sales = {
        s.record["transaction_id"]: (n, s.record)
        for n, s in reversed(list(enumerate(sent)))
        if s.record and s.record["kind"] == "sale"
    }
    early = 0
    for n, s in enumerate(sent):
        if s.record is None or s.record["kind"] == "sale":
            continue
        at, sale = sales[s.record["refers_to"]]
        assert sale.get("customer_id") == s.record.get("customer_id")
        assert s.record["total_cents"] <= sale["total_cents"]
        assert s.record["event_time_ms"] >= sale["event_time_ms"]
        if s.record["kind"] == "void":
            assert s.record["lines"] == sale["lines"]
        if at > n:
            early += 1
            assert s.klass in ("out_of_order", "duplicate")
    assert early > 20


def test_duplicates_are_of_records_sent_before(sent: list[Sent]) -> None:
    before: set[bytes] = set()
    for s in sent:
        if s.klass == "duplicate":
            assert s.raw in before
        elif s.klass != "malformed":
            assert s.raw not in before
            before.add(s.raw)
    assert any(s.klass == "duplicate" and s.record and s.record["kind"] == "refund" for s in sent)


def test_late_ones_are_5_minutes_to_20_hours_late(sent: list[Sent]) -> None:
    late = [(n, s.record) for n, s in enumerate(sent) if s.klass == "late" and s.record]
    for n, record in late:
        assert LATE_MS[0] - 1 <= START + n - record["event_time_ms"] <= LATE_MS[1]


def test_redemptions_are_covered_and_not_covered(sent: list[Sent]) -> None:
    points: Counter[str] = Counter()
    outcomes: Counter[bool] = Counter()
    for s in sent:
        if s.record and s.record["kind"] == "sale" and "customer_id" in s.record:
            asked = s.record.get("points_to_redeem", 0)
            if asked:
                outcomes[asked <= points[s.key]] += 1
            points[s.key] += s.record["total_cents"] // 1000
    assert outcomes[True] > 100
    assert outcomes[False] > 50


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_has_visits_of_its_size(profile: str) -> None:
    records = [s.record for s in simulate(3000, profile=profile, faults=Faults()) if s.record]
    spend = [r["total_cents"] for r in records if r["kind"] == "sale"]
    middle = sorted(spend)[len(spend) // 2]
    assert 10_000 < middle < 100_000
    assert all(1 <= len(r["lines"]) <= 12 for r in records)


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(UnknownProfile, match="black-friday"):
        Simulator("christmas")


def test_the_tables_are_plausible() -> None:
    stores = load_stores()
    assert [s.number for s in stores] == list(range(1, 2901))
    assert sum(s.currency == "ZAR" for s in stores) > 2000
    assert len({s.region for s in stores}) == 17
    products = load_products()
    assert len({p.gtin for p in products}) == len(products) == 500


class Collector:
    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.closed = False

    def send(self, key: str, raw: bytes) -> None:
        self.sent.append((key, raw))

    def close(self) -> int:
        self.closed = True
        return 0


def test_the_truth_is_what_was_sent_also_when_stopped(tmp_path: Path) -> None:
    stop, sender = threading.Event(), Collector()

    def after_a_while(count: int) -> None:
        if count >= 1000:
            stop.set()

    outcome = run(
        Simulator(seed=7, faults=FAULTS),  # without end
        sender,
        TruthWriter(tmp_path, seed=7),
        stop=stop,
        progress=after_a_while,
    )
    lines = [json.loads(line) for line in (tmp_path / "sent.jsonl").open()]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert outcome.stopped
    assert sender.closed
    assert len(lines) == len(sender.sent) == outcome.sent == summary["sent"]
    assert [line["key"] for line in lines] == [key for key, _ in sender.sent]
    assert summary["classes"] == dict(sorted(Counter(line["class"] for line in lines).items()))
    assert read_truth(tmp_path).sent == outcome.sent


def test_the_pace_is_the_rate_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that only sleeping moves."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr("tillstream.sim.runner.time", clock)
    outcome = run(Simulator(seed=1, count=200), Collector(), None, rate=400)
    assert 0.4 < outcome.seconds < 0.6
    outcome = run(Simulator(seed=1), Collector(), None, rate=500, seconds=0.3)
    assert 0.3 <= outcome.seconds < 0.4
    assert 140 < outcome.sent < 160


def test_no_share_may_be_out_of_bounds() -> None:
    with pytest.raises(ValueError, match="shares"):
        Faults(late=0.95)
    assert next(islice(Simulator(seed=2), 1)).klass == "ok"


def test_a_fuzzed_record_is_one_object_that_is_no_transaction() -> None:
    sent = list(simulate(2000, faults=Faults(fuzzed=0.2)))
    fuzzed = [one.raw for one in sent if one.damage == "fuzzed"]
    assert 300 < len(fuzzed) < 500
    for raw in fuzzed:
        assert isinstance(json.loads(raw), dict)
        with pytest.raises(InvalidTransaction):
            parse(raw)
