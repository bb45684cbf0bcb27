"""Whatever the stream does, and wherever the process dies: nothing lost, in order, no needless doubles."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import settings as of_hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.till.fakes import FakeTarget, settings
from tillstream.clients import retry
from tillstream.clients.retry import Keyed, Receipt
from tillstream.till.forwarder import Closed, Forwarder
from tillstream.till.spool import Limits, Spool, SpoolFull

ROOM = 25
MOODS = {
    "well": {"taken": 1.0},
    "throttling": {"taken": 0.5, "refused": 0.5},
    "half": {"taken": 0.6, "refused": 0.2, "lost": 0.2},
    "deaf": {"lost": 1.0},
    "refusing": {"refused": 1.0},
}


class Crash(BaseException):
    """The process is killed here."""


class Places:
    """Where the next crash is to be: the so-many-th time that one of these is passed."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}
        self.doubtful: Counter[Keyed] = Counter()  # may come again after a crash

    def passed(self, place: str, records: Sequence[Keyed] = ()) -> None:
        if place in self.left:
            self.left[place] -= 1
            if not self.left[place]:
                self.left.clear()
                self.doubtful.update(records)
                raise Crash


class MortalTarget(FakeTarget):
    places: Places

    def put(self, batch: Sequence[Keyed]) -> list[Receipt]:
        self.places.passed("before the request")
        receipts = super().put(batch)
        self.places.passed("before the answer", batch)
        return receipts


class MortalSpool(Spool):
    places: Places

    def keep(self, records: Sequence[Keyed], refused: Any = ()) -> None:
        self.places.passed("before a commit")
        super().keep(records, refused)
        self.places.passed("after a commit")

    def settle(self, delivered: Sequence[int], refused: Any = ()) -> None:
        if delivered:
            with self._reading() as db:
                every = "SELECT seq, key, raw FROM waiting JOIN bodies USING (seq)"
                gone = [(key, raw) for seq, key, raw in db.execute(every) if seq in delivered]
            self.places.passed("before a delivery is noted", gone)
        super().settle(delivered, refused)
        self.places.passed("after a delivery is noted")


CRASHES = ("before the request", "before the answer", "before a commit", "after a commit",
           "before a delivery is noted", "after a delivery is noted")  # fmt: skip


class UnreliableWorld(RuleBasedStateMachine):
    """One who sends, batch after batch, as a file is read: what is not known to be safe is sent again."""

    @initialize(seed=st.integers(0, 10_000), lanes=st.integers(1, 3))
    def begin(self, seed: int, lanes: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.random, self.lanes = Random(seed), lanes
        self.places, self.target = Places(), MortalTarget(self.outcome)
        self.target.places, self.mood = self.places, MOODS["well"]
        self.sent: list[Keyed] = []
        self.crashes = 0
        self.start()

    def outcome(self, key: str, raw: bytes) -> str:
        (one,) = self.random.choices(list(self.mood), list(self.mood.values()))
        return one

    def start(self) -> None:
        spool = MortalSpool(Path(self.folder.name), Limits(ROOM, 10**9, 0), lambda _: 10**12)
        spool.places = self.places
        own = settings(lanes=self.lanes, batch_records=6, backoff_first_ms=1, backoff_max_ms=8)
        self.forwarder = Forwarder(spool, self.target, own, random=Random(1))

    def restart(self) -> None:
        self.crashes += 1
        self.places.left.clear()
        self.forwarder.close()
        self.start()

    @rule(mood=st.sampled_from(sorted(MOODS)))
    def changes_its_mood(self, mood: str) -> None:
        self.mood = MOODS[mood]

    @rule(away=st.booleans())
    def line_goes_down_or_comes_up(self, away: bool) -> None:
        self.target.away = away

    @rule(place=st.sampled_from(CRASHES), times=st.integers(1, 4))
    def will_be_killed(self, place: str, times: int) -> None:
        self.places.left = {place: times}

    @rule(keys=st.lists(st.integers(0, 4), min_size=1, max_size=12))
    def sends(self, keys: list[int]) -> None:
        batch = [(f"C{key}", b"%d" % (len(self.sent) + n)) for n, key in enumerate(keys)]
        self.sent += batch
        left = batch
        for attempt in range(200):
            try:
                self.forwarder.accept_many(left)
                return
            except SpoolFull as full:
                left = full.left
                if attempt > 2:
                    self.target.away, self.mood = False, MOODS["half"]
                time.sleep(0.005)
            except (Crash, Closed):
                self.places.doubtful.update(left)
                self.restart()
        raise AssertionError("never safe")

    @rule()
    def is_stopped_and_started(self) -> None:
        self.forwarder.close()
        if self.forwarder.fatal():
            self.crashes += 1
        self.places.left.clear()
        self.start()

    @rule()
    def time_passes(self) -> None:
        time.sleep(0.02)
        if self.forwarder.fatal():
            self.restart()

    def teardown(self) -> None:
        if not hasattr(self, "forwarder"):
            return
        self.places.left.clear()
        if self.forwarder.fatal():
            self.restart()
        self.target.away, self.mood = False, MOODS["well"]
        assert self.forwarder.close(drain_s=20) == 0
        assert not self.forwarder.fatal()
        self.folder.cleanup()
        came = Counter(self.target.taken)
        assert set(came) == set(self.sent), "each is there, and nothing else"
        first = list(dict.fromkeys(self.target.taken))
        for key in {key for key, _ in self.sent}:
            assert [one for one in first if one[0] == key] == [
                one for one in self.sent if one[0] == key
            ]
        doubtful = self.target.doubtful + self.places.doubtful
        for one, times in came.items():
            assert times <= 1 + doubtful[one], f"{one} came {times} times for no reason"


_before = retry.RETRY_AFTER_S


def setup_module() -> None:
    retry.RETRY_AFTER_S = (0.0005, 0.001, 0.001)


def teardown_module() -> None:
    retry.RETRY_AFTER_S = _before


TestUnreliableWorld = UnreliableWorld.TestCase
TestUnreliableWorld.settings = of_hypothesis(max_examples=40, stateful_step_count=25, deadline=None)
