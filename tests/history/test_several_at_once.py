"""However several compactions run into each other, and wherever they break off, each row is there once."""

from __future__ import annotations

import io
from collections import Counter
from functools import cache
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.in_turns import Actor, Bucket, Turns
from tillstream.clients.storage import S3Folder, visible
from tillstream.history import lease as leases
from tillstream.history.compact import Compactor
from tillstream.history.lease import FILE, Lease, Taken

PREFIX = "ledger/loyalty"
RUN = "0b5d2c1e-6f4a-4a55-9d0c-3b1f7a8e9c21"
OLDER = [1_000_003, 2_000_000]  # of a run with 8 days, of one with 7
STALLED = 60  # turns: enough for another one to take somebody for gone


def filled() -> Bucket:
    bucket = Bucket()
    for n, written_ms in enumerate([*range(1_000_000, 1_000_005), 90_000_000]):
        out = io.BytesIO()
        pq.write_table(pa.table({"id": [f"r{n}"]}), out)
        name = f"{PREFIX}/date=2026-01-05/loyalty-ledger-{RUN}-{n}.parquet"
        bucket.put(name, out.getvalue(), written_ms)
    return bucket


def rows(bucket: Bucket) -> Counter[str]:
    found: Counter[str] = Counter()
    pause, bucket.pause = bucket.pause, lambda: None
    for file in list(visible(bucket.files(f"{PREFIX}/"), PREFIX)):
        found.update(ids(bucket.get(file.name)))
    bucket.pause = pause
    return found


@cache
def ids(body: bytes) -> tuple[str, ...]:
    return tuple(pq.read_table(io.BytesIO(body))["id"].to_pylist())


class Rig:
    """Compactions of one bucket that take turns. No reader ever finds too few rows."""

    def __init__(self) -> None:
        self.bucket = filled()
        self.before = rows(self.bucket)
        self.turns = Turns(self.bucket, self.none_missing)

    def none_missing(self) -> None:
        assert set(rows(self.bucket)) == set(self.before)

    def lease(self, **more: Any) -> Lease:
        folder = cast(S3Folder, self.bucket)
        return Lease(folder, PREFIX, "test", now=self.turns.now, sleep=self.turns.sleep, **more)

    def begin(self, older_ms: int) -> Actor:
        def compact() -> None:
            with self.lease() as mine:
                compactor = Compactor(mine)
                compactor.finish()
                compactor.compact(compactor.plan(older_ms, 10**6), lambda _: None)

        return self.turns.add(compact)

    def is_put_right(self) -> None:
        last = self.begin(OLDER[1])
        self.turns.end()
        assert last.refused == ""
        assert rows(self.bucket) == self.before
        assert [name for name in self.bucket.kept if "/_" in name] == [f"{PREFIX}/{FILE}"]


TURNS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 12) | st.just(STALLED)), max_size=14
)  # whose, and how many


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TURNS, st.sets(st.integers(0, 1)))
@example([(0, 12), (1, STALLED)], set())
def test_two_compactions_and_a_third_that_ends_what_they_left(turns, killed):
    rig = Rig()
    actors = [rig.begin(older_ms) for older_ms in OLDER]
    for who, steps in turns:
        for _ in range(steps):
            rig.turns.step(actors[who])
    for who in killed:
        rig.turns.kill(actors[who])
    rig.turns.end()
    rig.is_put_right()


@pytest.mark.parametrize("more", range(4))
def test_one_is_slow_anywhere_until_another_is_through_and_breaks_off_soon_after(more):
    """A file that is put so late is not merged into others, and the next run deletes it."""
    steps, is_over = 0, False
    while not is_over:
        rig = Rig()
        slow = rig.begin(OLDER[0])
        for _ in range(steps):
            rig.turns.step(slow)
        is_over = slow.is_over
        quick = rig.begin(OLDER[1])
        while not quick.is_over:
            rig.turns.step(quick)
        assert quick.refused == ""
        for _ in range(more):
            rig.turns.step(slow)
        rig.turns.kill(slow)
        rig.is_put_right()
        steps += 1
    assert steps > 20


def test_while_one_is_at_it_another_is_refused_and_whoever_is_gone_is_replaced():
    rig = Rig()
    first, second = rig.begin(OLDER[0]), rig.begin(OLDER[1])
    for _ in range(5):
        rig.turns.step(first)
    while not second.is_over:
        rig.turns.step(second)
        rig.turns.clock_s += leases.BEAT_S  # so the first one beats
        rig.turns.step(first)
    assert "(test) is at these files: run the command again" in second.refused
    rig.turns.kill(first)
    third = rig.begin(OLDER[1])
    rig.turns.end()
    assert third.refused == ""
    assert rig.turns.clock_s >= leases.GONE_S
    assert rows(rig.bucket) == rig.before


def test_a_lease_that_somebody_took_is_neither_written_nor_given_back():
    rig = Rig()
    slow, quick = rig.lease(), rig.lease()
    with slow:
        rig.turns.clock_s = 0.0
        with quick:
            for lost in (slow.check, slow.check, lambda: slow.drop("x")):
                with pytest.raises(Taken, match=quick.me):
                    lost()
            slow.__exit__(None, None, None)
            quick.check()
    assert quick.read().holder == ""


def test_who_waits_goes_on_once_the_other_has_given_it_back():
    rig = Rig()
    compaction = rig.begin(OLDER[0])
    for _ in range(5):
        rig.turns.step(compaction)
    got: list[str] = []

    def replay() -> None:
        with rig.lease(wait=True, say=got.append) as mine:
            got.append(mine.me)

    waiting = rig.turns.add(replay)
    rig.turns.end()
    assert (compaction.refused, waiting.refused) == ("", "")
    assert "was at it: looking whether it still is" in got[0]
    assert len(got) == 2
    assert rows(rig.bucket) == rig.before


def test_a_lease_that_cannot_be_read_says_what_to_do():
    rig = Rig()
    rig.bucket.put(f"{PREFIX}/{FILE}", b"{", 1)
    with pytest.raises(Taken, match="delete it while nothing is being compacted"):
        rig.lease().read()
