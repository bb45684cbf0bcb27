"""A record is safe once it is accepted: in the stream, or in the spool in the order of its key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.till.fakes import FakeTarget, open_spool, settings
from tillstream.clients import retry
from tillstream.clients.retry import Backoff, Receipt
from tillstream.till.forwarder import PROBE, Closed, Forwarder
from tillstream.till.spool import Limits, SpoolFull


def eventually(true: Callable[[], Any], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "RETRY_AFTER_S", (0.001, 0.002, 0.004))


@pytest.fixture
def target() -> FakeTarget:
    return FakeTarget()


@pytest.fixture
def open_one(tmp_path: Path, target: FakeTarget) -> Iterator[Callable[..., Forwarder]]:
    opened: list[Forwarder] = []

    def one(spool: Any = None, **changed: Any) -> Forwarder:
        opened.append(Forwarder(spool or open_spool(tmp_path), target, settings(**changed)))
        return opened[-1]

    yield one
    for forwarder in opened:
        target.away = False
        if not forwarder._finishing:
            forwarder.close()


def test_while_the_stream_takes_all_nothing_touches_the_spool(open_one, target) -> None:
    forwarder = open_one()
    records = [(f"C{n % 7}", b"%d" % n) for n in range(100)]
    forwarder.accept_many(records)
    assert sorted(target.taken) == sorted(records)
    assert target.of("C3") == [b"%d" % n for n in range(100) if n % 7 == 3]
    assert forwarder.spool.oldest(1, 1, ()) == []
    assert all(len({key for key, _ in one}) == len(one) for one in target.requests)


def test_a_record_is_tried_four_times_and_then_kept(open_one, target, monkeypatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(retry, "RETRY_AFTER_S", (0.1, 0.2, 0.4))
    real = retry.put_again
    monkeypatch.setattr(
        retry,
        "put_again",
        lambda put, of, after, **more: real(put, of, after, waits.append, **more),
    )
    forwarder = open_one(backoff_first_ms=60_000, backoff_max_ms=60_000)
    target.away = True
    forwarder.accept("C1", b"sale")
    assert waits == [0, 0.1, 0.2, 0.4]
    assert len(target.requests) == 4
    assert forwarder.spool.sums.waiting == 1
    forwarder.accept("C2", b"another")  # known to be away, so it is not tried first
    assert len(target.requests) == 4
    assert forwarder.spool.sums.waiting == 2


def test_only_what_failed_is_put_again(open_one, target) -> None:
    refusals = {"C2": 2}

    def outcome(key: str, raw: bytes) -> str:
        refusals[key] = refusals.get(key, 0) - 1
        return "refused" if refusals[key] >= 0 else "taken"

    target.outcome = outcome
    open_one().accept_many([("C1", b"1"), ("C2", b"2"), ("C3", b"3")])
    assert [len(one) for one in target.requests] == [3, 1, 1]
    assert len(target.taken) == 3


def test_an_outage_ends_with_all_delivered_in_each_keys_order(open_one, target) -> None:
    forwarder = open_one(batch_records=20)
    target.away = True
    forwarder.accept_many([(f"C{n % 30}", b"%d" % n) for n in range(200)])
    assert forwarder.spool.sums.waiting == 200
    target.away = False
    forwarder.accept_many([(f"C{n % 30}", b"%d" % n) for n in range(200, 300)])
    eventually(lambda: not forwarder.spool.sums.waiting)
    for n in range(30):
        assert target.of(f"C{n}") == [b"%d" % m for m in range(n, 300, 30)]
    assert len(target.taken) == 300


def test_a_stream_that_is_away_is_asked_ever_more_slowly_by_a_few_records(open_one, target) -> None:
    forwarder = open_one(backoff_first_ms=20, backoff_max_ms=100)
    target.away = True
    forwarder.accept_many([(f"C{n}", b"") for n in range(100)])
    direct = len(target.requests)
    time.sleep(1)
    asked = len(target.requests) - direct
    assert 3 <= asked <= 30  # at most one per 50 ms once it is at its slowest
    assert all(len(one) <= PROBE for one in target.requests[direct:])
    assert target.requests[-1][0] == ("C0", b"")


def test_waits_double_to_a_maximum_and_are_spread() -> None:
    backoff = Backoff(0.8, 60)
    for failures in range(1, 2000):
        whole = min(0.8 * 2 ** min(failures - 1, 20), 60)
        assert whole / 2 <= backoff.wait_s(failures) <= whole
    assert len({backoff.wait_s(3) for _ in range(10)}) > 1


def test_one_customer_who_is_throttled_holds_up_nobody_else(open_one, target) -> None:
    target.outcome = lambda key, raw: "refused" if key == "hot" else "taken"
    forwarder = open_one(backoff_first_ms=30_000, backoff_max_ms=30_000)
    forwarder.accept_many([("hot", b"1"), ("C1", b"1")])
    began = time.monotonic()
    for n in range(2, 50):
        forwarder.accept_many([("hot", b"%d" % n), ("C1", b"%d" % n)])
    assert time.monotonic() - began < 10
    assert target.of("C1") == [b"%d" % n for n in range(1, 50)]
    assert forwarder.spool.sums.waiting == 49


@pytest.mark.parametrize("known_before", [True, False])
def test_what_the_stream_can_never_take_is_set_aside_and_blocks_nothing(
    open_one, target, known_before: bool
) -> None:
    target.largest = 10 if known_before else 10**6
    target.outcome = lambda key, raw: "final" if len(raw) > 10 else "taken"
    forwarder = open_one()
    forwarder.accept_many([("C1", b"1"), ("C1", b"poison" * 10), ("C1", b"2"), ("C2", b"3")])
    eventually(lambda: len(target.taken) == 3)
    assert target.of("C1") == [b"1", b"2"]
    assert forwarder.spool.sums[:3] == (0, 0, 1)


def test_poison_that_was_kept_during_an_outage_is_set_aside_when_it_is_over(
    open_one, target
) -> None:
    forwarder = open_one()
    target.away = True
    forwarder.accept_many([("C1", b"1"), ("C2", b"poison"), ("C2", b"2")])
    target.outcome = lambda key, raw: "final" if raw == b"poison" else "taken"
    target.away = False
    eventually(lambda: not forwarder.spool.sums.waiting)
    assert sorted(target.taken) == [("C1", b"1"), ("C2", b"2")]
    assert forwarder.spool.sums.refused == 1


class Stuck(FakeTarget):
    """Answers nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go = threading.Event(), threading.Event()

    def put(self, batch: Any) -> list[Receipt]:
        self.entered.set()
        self.go.wait(20)
        return super().put(batch)


def test_while_a_request_hangs_others_are_kept_and_its_own_key_keeps_its_order(tmp_path) -> None:
    target = Stuck()
    forwarder = Forwarder(open_spool(tmp_path), target, settings(direct_ms=50))
    first = forwarder.submit([("C1", b"1")])
    target.entered.wait(5)
    behind = forwarder.submit([("C1", b"2")])
    forwarder.accept("C2", b"1")
    assert forwarder.spool.sums.waiting == 1
    target.go.set()
    first.wait()
    behind.wait()
    eventually(lambda: not forwarder.spool.sums.waiting)
    assert target.of("C1") == [b"1", b"2"]
    assert target.of("C2") == [b"1"]
    forwarder.close()


def test_a_full_spool_says_which_records_are_not_safe_and_drops_none(
    open_one, target, tmp_path
) -> None:
    forwarder = open_one(open_spool(tmp_path, Limits(5, 10**9, 0)))
    target.away = True
    forwarder.accept("C0", b"")
    with pytest.raises(SpoolFull, match=r"till\.spool_records: 5") as full:
        forwarder.accept_many([(f"C{n}", b"%d" % n) for n in range(1, 10)])
    assert full.value.left == [(f"C{n}", b"%d" % n) for n in range(5, 10)]
    target.away = False
    left = full.value.left
    while left:
        try:
            forwarder.accept_many(left)
            left = []
        except SpoolFull as again:
            left = again.left
    eventually(lambda: len(target.taken) == 10)


def test_with_no_room_on_the_disk_a_stream_that_is_back_is_found_all_the_same(
    open_one, target, tmp_path
) -> None:
    forwarder = open_one(open_spool(tmp_path, Limits(10**6, 10**9, 10**9), free=10))
    target.away = True
    for _ in range(2):
        with pytest.raises(SpoolFull, match=r"till\.disk_free_bytes"):
            forwarder.accept("C1", b"1")
    target.away = False
    time.sleep(0.05)
    forwarder.accept("C1", b"1")
    assert target.taken == [("C1", b"1")]


def test_many_tills_at_once_share_commits(open_one, target, monkeypatch) -> None:
    forwarder = open_one()
    target.away = True
    forwarder.accept("C0", b"")
    commits: list[int] = []
    keep = forwarder.spool.keep

    def counted(records: Any, refused: Any = ()) -> None:
        commits.append(len(records))
        time.sleep(0.01)  # a slow disk
        keep(records, refused)

    monkeypatch.setattr(forwarder.spool, "keep", counted)
    threads = [threading.Thread(target=forwarder.accept, args=(f"C{n}", b"")) for n in range(1, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(commits) == 59
    assert len(commits) < 40


def test_closing_makes_safe_what_was_accepted_and_takes_no_more(open_one, target, tmp_path) -> None:
    forwarder = open_one()
    target.away = True
    tickets = [forwarder.submit([(f"C{n}", b"")]) for n in range(50)]
    assert forwarder.close() == 50
    for ticket in tickets:
        ticket.wait()
    with pytest.raises(Closed):
        forwarder.accept("C1", b"")
    target.away = False
    assert open_one(open_spool(tmp_path)).close(drain_s=10) == 0
    assert len(target.taken) == 50


def test_several_lanes_keep_each_keys_order(open_one, target) -> None:
    random = Random(1)
    target.outcome = lambda key, raw: "refused" if random.random() < 0.3 else "taken"
    forwarder = open_one(lanes=4, batch_records=10)
    tickets = [forwarder.submit([(f"C{n % 20}", b"%d" % n)]) for n in range(1000)]
    for ticket in tickets:
        ticket.wait()
    eventually(lambda: not forwarder.spool.sums.waiting)
    for n in range(20):
        assert target.of(f"C{n}") == [b"%d" % m for m in range(n, 1000, 20)]


def test_a_fault_of_ours_ends_it_and_says_so_to_all_who_wait(open_one, target, monkeypatch) -> None:
    forwarder = open_one()
    target.away = True

    def keep(*_: Any) -> None:
        raise AssertionError("a bug")

    monkeypatch.setattr(forwarder.spool, "keep", keep)
    with pytest.raises(AssertionError, match="a bug"):
        forwarder.accept("C1", b"")
    with pytest.raises(Closed, match="AssertionError"):
        forwarder.accept("C1", b"")
