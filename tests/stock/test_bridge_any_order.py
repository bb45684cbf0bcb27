"""The bridge against a model of DynamoDB Streams: whatever the stream, AWS, Kafka and the process do, in
any order, no correction is lost, each key's come in order, and what comes twice is known by its id."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.stock.test_corrections import image
from tests.support.table_stream import (
    FAULTS,
    LETTERS,
    MOVEMENTS,
    Crash,
    FakeShard,
    UntilRead,
    World,
)
from tillstream.stock.stream import DONE

STORES = 8
MILK = "2000000000411"


class Bridging(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.owner = dict.fromkeys(range(1, STORES + 1), "shard-0")  # store -> its open shard
        self.written: dict[str, list[str]] = {}  # key -> ids of its corrections, in order
        self.unusable: list[str] = []
        self.repeats = False
        self.world.remembered = self.has_been_handed_on
        self.process = self.world.bridge()

    @initialize(size=st.integers(1, 4))
    def pages(self, size: int) -> None:
        self.world.page_size = size

    # -- what others do --------------------------------------------------------------------------

    @rule(store=st.integers(1, STORES), pieces=st.integers(0, 99), many=st.integers(1, 6))
    def a_person_corrects(self, store: int, pieces: int, many: int) -> None:
        for n in range(many):
            number = self.write(store, image(pieces + n, 17, "by hand"))
            self.written.setdefault(f"{store}/{MILK}", []).append(f"d-{number}")

    @rule(store=st.integers(1, STORES))
    def the_job_writes(self, store: int) -> None:
        self.write(store, image(5, 18))

    @rule(store=st.integers(1, STORES))
    def a_person_writes_what_nobody_can_use(self, store: int) -> None:
        shard = self.owner[store]
        new = image(12, 0, "by hand")
        del new["product"]
        self.unusable.append(f"dynamodb:stock/{shard}/{self.write(store, new)}")

    def write(self, store: int, new: dict) -> str:
        shard = self.world.shards[self.owner[store]]
        return self.world.write(shard, new | {"store": {"S": str(store)}})

    @rule(store=st.integers(1, STORES), pages=st.integers(1, 14))
    def pages_stay_empty(self, store: int, pages: int) -> None:
        self.world.shards[self.owner[store]].records += [None] * pages

    @rule(store=st.integers(1, STORES), into=st.integers(1, 3))
    def a_shard_closes_and_has_children(self, store: int, into: int) -> None:
        world, parent = self.world, self.owner[store]
        world.shards[parent].closed = True
        names = [f"shard-{len(world.shards)}-{n}" for n in range(into)]
        world.shards |= {name: FakeShard(name, parent) for name in names}
        for n, other in enumerate(s for s, shard in self.owner.items() if shard == parent):
            self.owner[other] = names[n % into]

    @rule()
    def iterators_expire(self) -> None:
        self.world.generation += 1

    @rule()
    def what_was_read_is_trimmed(self) -> None:
        for name, shard in list(self.world.shards.items()):
            position = self.position(name)
            if position == DONE:
                shard.trimmed = len(shard.records)
            elif position:
                shard.trimmed = 1 + next(
                    n for n, one in enumerate(shard.records)
                    if one and one["dynamodb"]["SequenceNumber"] == position
                )  # fmt: skip

    @rule(fault=st.sampled_from(sorted(FAULTS)), after=st.integers(0, 12), done=st.booleans())
    def a_call_fails(self, fault: str, after: int, done: bool) -> None:
        self.repeats = True
        self.world.fail(fault, after, done)

    @rule(seconds=st.integers(1, 90))
    def kafka_is_away(self, seconds: int) -> None:
        self.world.kafka_is_back_s = self.world.now_s + seconds

    @rule(after=st.integers(0, 5))
    def kafka_refuses(self, after: int) -> None:
        self.repeats = True
        self.world.kafka_refuses_after = after

    # -- the bridge --------------------------------------------------------------------------------

    @rule(seconds=st.integers(1, 40))
    def it_runs(self, seconds: int) -> None:
        self.process._stop = self.world.stop_after(seconds)
        try:
            self.process.run(1.0)
        except Crash:
            self.process = self.world.bridge()
        # What waits when it is stopped is sent by the next one, too.
        self.repeats |= self.world.kafka_is_back_s > self.world.now_s

    @rule()
    def it_is_stopped_and_started(self) -> None:
        self.process = self.world.bridge()

    def position(self, shard: str) -> str:
        (found,) = [p for s, p in self.world.positions.items() if s.endswith(f"/{shard}")] or [""]
        return found

    def has_been_handed_on(self, shard: str, position: str) -> None:
        """No position is written before all that it passes is in Kafka."""
        there = self.arrived() | {origin.rpartition("/")[2] for origin, _ in self.letters()}
        for record in self.world.shards[shard].records:
            if record is None:
                continue
            change = record["dynamodb"]
            number = change["SequenceNumber"]
            if position != DONE and number > position:
                break
            ours = change["NewImage"]["mark"]["S"] != "by hand"
            assert ours or number in there, f"{shard} is past {number}, which is not in Kafka"

    def arrived(self) -> set[str]:
        return {number(value) for _, value in self.world.topics[MOVEMENTS]}

    def letters(self) -> list[tuple[str, bytes]]:
        return self.world.topics[LETTERS]

    def teardown(self) -> None:
        """All is well again: what was written has come."""
        self.world.faults.clear()
        self.world.kafka_is_back_s, self.world.kafka_refuses_after = 0.0, None
        last = self.world.bridge()
        last._stop = UntilRead(self.world)
        last.run(1.0)
        came: dict[str, list[str]] = {}
        for key, value in self.world.topics[MOVEMENTS]:
            came.setdefault(key, []).append(f"d-{number(value)}")
        assert {key: list(dict.fromkeys(ids)) for key, ids in came.items()} == self.written
        assert set(self.unusable) == {origin for origin, _ in self.letters()}
        if not self.repeats:
            assert came == self.written
            assert len(self.letters()) == len(self.unusable)


def number(value: bytes) -> str:
    return value.partition(b'"d-')[2][:21].decode()


TestBridging = Bridging.TestCase
TestBridging.settings = settings(
    max_examples=200,
    stateful_step_count=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def test_thousands_of_stories_told_by_dice():
    """Hypothesis takes 20 ms a story and makes a short one of a failure; dice take 2."""
    for seed in range(3000):
        dice = Random(seed)
        story = Bridging()
        story.pages(dice.randint(1, 4))
        for _ in range(dice.randint(5, 40)):
            step, drawn = dice.choice(STEPS)
            step(story, **{name: dice.choice(values) for name, values in drawn.items()})
        try:
            story.teardown()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error


store = range(1, STORES + 1)
STEPS: list[tuple[Any, dict[str, Sequence[Any]]]] = [
    (Bridging.a_person_corrects, {"store": store, "pieces": range(99), "many": range(1, 7)}),
    (Bridging.a_person_corrects, {"store": store, "pieces": range(99), "many": range(1, 3)}),
    (Bridging.the_job_writes, {"store": store}),
    (Bridging.a_person_writes_what_nobody_can_use, {"store": store}),
    (Bridging.pages_stay_empty, {"store": store, "pages": range(1, 15)}),
    (Bridging.a_shard_closes_and_has_children, {"store": store, "into": range(1, 4)}),
    (Bridging.iterators_expire, {}),
    (Bridging.what_was_read_is_trimmed, {}),
    (Bridging.a_call_fails, {"fault": sorted(FAULTS), "after": range(13), "done": (True, False)}),
    (Bridging.kafka_is_away, {"seconds": range(1, 90)}),
    (Bridging.kafka_refuses, {"after": range(6)}),
    (Bridging.it_runs, {"seconds": range(1, 40)}),
    (Bridging.it_runs, {"seconds": range(1, 40)}),
    (Bridging.it_is_stopped_and_started, {}),
]
