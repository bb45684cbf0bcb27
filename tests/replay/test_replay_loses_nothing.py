"""A model of streams, archives and histories: what a replay accepts loses nothing and doubles nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tillstream.history.files import File
from tillstream.history.settle import Span
from tillstream.replay.coverage import Row, Survey, beyond, in_order
from tillstream.replay.stream_reach import Gap

STREAM = "kafka:tills"
# What is known of each offset: a record that was archived (once, or again), refused, repeated; a place
# without a record that the archive saw; and the three ways in which nothing is known.
SEEN = ("archived", "archived twice", "dead letter", "repeated", "noted hole")
UNSEEN = ("lost", "hole", "of another topic")


@st.composite
def archives(draw, kinds=SEEN + UNSEEN):
    """(gap, kind of each offset by partition, files: key -> rows), with rows in any file at all."""
    gap, known, files = {}, {}, {}
    for part in range(draw(st.integers(1, 3))):
        first = draw(st.integers(0, 5))
        kept = draw(st.lists(st.sampled_from(kinds), max_size=12))
        begun, over = first, first + len(kept)
        known[part] = {first + n: kind for n, kind in enumerate(kept)}
        if kept:
            begun = draw(st.integers(first, over - 1))
            gap[part] = (begun, draw(st.integers(begun + 1, over)))
        for at, kind in known[part].items():
            for _ in range(
                {"archived": 1, "archived twice": 2, "of another topic": 1}.get(kind, 0)
            ):
                stream = "kafka:others" if kind == "of another topic" else STREAM
                late = draw(
                    st.integers(0, 3)
                )  # a piece may be finished, and its rows dated, anyhow
                files.setdefault(f"f{draw(st.integers(0, 4))}", []).append(
                    (f"{stream}/{part}/{at}", 100 * late + at, f"id-{part}-{at}")
                )
    return gap, known, files


def surveyed(gap, known, files) -> Survey:
    found = Survey(Gap(gap), STREAM)
    for key, rows in files.items():
        found.archived(key, [(origin, at_ms) for origin, at_ms, _ in rows])
    for part, kinds in known.items():
        for at, kind in kinds.items():
            if kind in ("dead letter", "repeated"):
                found.accounted(f"{STREAM}/{part}/{at}")
            elif kind == "noted hole":
                found.accounted(f"{STREAM}/{part}/{at}-{at}")
    return found


def put_back(found: Survey, files) -> list[tuple[int, int]]:
    def read(key):
        for origin, at_ms, identity in reversed(files[key]):
            part, at = map(int, origin.split("/")[1:])
            begun, over = found.gap.offsets.get(part, (0, 0))
            if origin.startswith(STREAM) and begun <= at < over:
                yield Row((part, at), "", b"", at_ms, origin, identity)

    return [row.place for row in in_order(found.pieces, read)]


@settings(max_examples=1_000, deadline=None)
@given(archives() | archives(kinds=SEEN))
def test_what_the_planner_accepts_is_put_back_whole_once_and_in_order(world):
    gap, known, files = world
    found = surveyed(*world)
    missing = {
        (n, at) for n, runs in found.missing().items() for a, b in runs for at in range(a, b)
    }
    inside = {(n, at) for n, (first, end) in gap.items() for at in range(first, end)}
    assert missing == {(n, at) for n, at in inside if known[n][at] in UNSEEN}
    event("accepted" if not missing else "refused")
    given_back = put_back(found, files)
    wanted = {(n, at) for n, at in inside if known[n][at] in ("archived", "archived twice")}
    assert sorted(given_back) == sorted(wanted)
    for part in {part for part, _ in given_back}:
        places = [at for of, at in given_back if of == part]
        assert places == sorted(places)
    assert beyond(found.missing(), found.missing()) == {}
    assert beyond(found.missing(), {}) == found.missing()


@dataclass
class Attempt:
    """A savepoint: what is in it (records so far), and what its manifest says."""

    read: int
    taken_ms: int
    history_ms: int
    named: frozenset[str] = frozenset()


@dataclass
class HistoryFile:
    finished_ms: int
    rows: list[tuple[int, int]] = field(default_factory=list)  # (record, of which release)


class Attempts(RuleBasedStateMachine):
    """One job's history: it runs, is saved, fails, is replayed, and the replay is begun again. The
    releases write different rows of the same records, and none of the first record of each ten."""

    @initialize()
    def begin(self) -> None:
        self.now_ms = 1_000_000
        self.read = self.release = 0
        self.open: list[tuple[int, int]] = []  # written since the last checkpoint
        self.pending: dict[str, HistoryFile] = {}  # closed by a savepoint, not finished
        self.files: dict[str, HistoryFile] = {}
        self.savepoints: list[Attempt] = []
        self.replaying: tuple[Attempt, int] | None = None  # gone back to, boundary

    def tick(self) -> int:
        self.now_ms += 1_000
        return self.now_ms

    def close(self) -> str | None:
        if not self.open:
            return None
        key = f"h{self.tick()}"
        self.pending[key] = HistoryFile(0, self.open)
        self.open = []
        return key

    def finish(self) -> None:
        for key, file in self.pending.items():
            file.finished_ms = self.now_ms
            self.files[key] = file
        self.pending = {}

    def write(self, count: int) -> None:
        for _ in range(count):
            self.read += 1
            if self.read % 10 != self.release % 10:
                self.open.append((self.read, self.release))

    @rule(count=st.integers(1, 12))
    def goes_on(self, count: int) -> None:
        self.write(count)

    @rule()
    def checkpoint(self) -> None:
        self.tick()
        self.close()
        self.finish()

    @rule()
    def savepoint(self) -> None:
        taken_ms = self.tick()
        self.close()
        named = frozenset(self.pending)
        if self.replaying is None:
            self.savepoints.append(Attempt(self.read, taken_ms, self.tick(), named))

    @rule(data=st.data(), stopped=st.booleans())
    def replay(self, data: st.DataObject, stopped: bool) -> None:
        older = [
            one
            for one in self.savepoints
            if self.replaying is None or one.taken_ms <= self.replaying[0].taken_ms
        ]
        if not older:
            return
        back_to = data.draw(st.sampled_from(older))
        if stopped:  # with a savepoint; else it had died
            self.checkpoint()
        self.open = []  # what no checkpoint closed is gone
        self.pending = {key: file for key, file in self.pending.items() if key in back_to.named}
        self.read, self.release = back_to.read, self.release + 1
        self.replaying = back_to, self.tick()
        self.finish()  # a restore finishes what its savepoint names

    @rule()
    def replay_ends(self) -> None:
        if self.replaying is None:
            return
        back_to, boundary_ms = self.replaying
        self.write(30)
        self.checkpoint()
        span = Span(back_to.taken_ms, boundary_ms, back_to.history_ms, back_to.named)
        for key, file in list(self.files.items()):
            if span.are_over(File(key, file.finished_ms)):
                del self.files[key]
        self.savepoints = [one for one in self.savepoints if one.taken_ms <= back_to.taken_ms]
        self.replaying = None
        self.expected_once()

    def expected_once(self) -> None:
        rows = [row for file in (*self.files.values(), *self.pending.values()) for row in file.rows]
        rows += self.open
        records = [record for record, _ in rows]
        assert len(records) == len(set(records)), "a row is there twice"

    @invariant()
    def nothing_doubles_or_is_missing_outside_a_replay(self) -> None:
        if getattr(self, "replaying", 1) is None:
            self.expected_once()
            rows = [r for f in (*self.files.values(), *self.pending.values()) for r in f.rows]
            there = {record for record, _ in (*rows, *self.open)}
            gone = set(range(1, self.read + 1)) - there
            # Only what the release that wrote last leaves out of ten may be missing.
            assert all(record % 10 in {n % 10 for n in range(self.release + 1)} for record in gone)


Attempts.TestCase.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
TestAttempts = Attempts.TestCase
