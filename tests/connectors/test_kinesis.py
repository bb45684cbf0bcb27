"""Shards of a stream: each is read once, to its end, and after its parents, whatever is lost on the way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.support.classes import job_classes
from tillstream.connectors.gateway import java

STREAM = "till-transactions"


def listed(shards: dict[str, tuple[list[str], bool]]) -> Any:
    """id -> (parents, whether it is closed), as the plan takes them."""
    out = java().java.util.ArrayList()
    for shard, (parents, closed) in shards.items():
        out.add(one_listed(shard, tuple(parents), closed))
    return out


@cache
def one_listed(shard: str, parents: tuple[str, ...], closed: bool) -> Any:
    of = java().java.util.ArrayList()
    for parent in parents:
        of.append(parent)
    return getattr(job_classes().kinesis, "ShardPlan$Listed")(shard, of, closed)


def begin(latest: bool = False, since_ms: int = 0, **positions: str) -> Any:
    places = java().java.util.HashMap()
    for shard, sequence in positions.items():
        places.put(shard, sequence)
    return getattr(job_classes().kinesis, "ShardPlan$Begin")(latest, since_ms, places)


def ready(plan: Any) -> dict[str, dict[str, Any]]:
    found = (orjson.loads(shard.toString()) for shard in plan.ready())
    return {one["shard"]: one for one in found}


@pytest.fixture
def plan(classes) -> Any:
    return classes.kinesis.ShardPlan(STREAM)


SPLIT = {"a": ([], True), "b": (["a"], False), "c": (["a"], False)}
MERGED = SPLIT | {"b": (["a"], True), "c": (["a"], True), "d": (["b", "c"], False)}


def test_a_job_without_positions_reads_parents_before_children(plan):
    plan.found(listed(SPLIT), begin(), 5)
    assert ready(plan) == {"a": {"kinesis": STREAM, "shard": "a", "parents": []}}
    plan.isRead("a")
    assert ready(plan) == {}
    plan.isAtItsEnd("a")
    assert set(ready(plan)) == {"b", "c"}


def test_of_two_that_were_merged_both_are_read_first(plan):
    plan.found(listed(MERGED), begin(), 5)
    for shard in ("a", "b"):
        plan.isRead(shard)
        plan.isAtItsEnd(shard)
    assert set(ready(plan)) == {"c"}
    plan.isRead("c")
    plan.isAtItsEnd("c")
    assert set(ready(plan)) == {"d"}


def test_latest_begins_with_open_shards_now_and_with_later_ones_at_their_start(plan):
    plan.found(listed(SPLIT), begin(latest=True), 77)
    assert {shard: one["since_ms"] for shard, one in ready(plan).items()} == {"b": 77, "c": 77}
    for shard in ("b", "c"):
        plan.isRead(shard)
        plan.isAtItsEnd(shard)
    plan.found(listed(MERGED), begin(latest=True), 99)
    assert "since_ms" not in ready(plan)["d"]


def test_a_shard_that_is_new_has_lost_nothing_of_before_it_was_there(plan, classes):
    plan.found(listed({"a": ([], False)}), begin(), 5)
    plan.isRead("a")
    plan.found(listed({"a": ([], False)}), begin(), 70)
    plan = classes.kinesis.ShardPlan.of(plan.toBytes())
    plan.found(listed(SPLIT), begin(), 80)
    plan.isAtItsEnd("a")
    assert {shard: one["read_to_ms"] for shard, one in ready(plan).items()} == {"b": 70, "c": 70}
    plan = classes.kinesis.ShardPlan(STREAM)
    plan.found(listed({"a": ([], False)}), begin(latest=True), 77)
    assert ready(plan)["a"]["read_to_ms"] == 77


def test_a_moment_begins_every_shard_there(plan):
    plan.found(listed(SPLIT), begin(since_ms=42), 77)
    assert ready(plan)["a"]["since_ms"] == 42


def test_positions_go_on_where_they_are_and_what_was_before_them_is_read(plan):
    plan.found(listed(MERGED | {"e": ([], False)}), begin(b="12", c="34"), 77)
    assert {shard: one.get("after") for shard, one in ready(plan).items()} == {
        "b": "12",
        "c": "34",
        "e": None,
    }


def test_a_parent_that_the_stream_has_forgotten_holds_nobody_up(plan):
    plan.found(listed({"b": (["a"], False)}), begin(), 5)
    assert set(ready(plan)) == {"b"}


def test_a_stream_that_lists_nothing_yet_has_not_begun(plan):
    plan.found(listed({}), begin(latest=True), 5)
    plan.found(listed({"a": ([], False)}), begin(latest=True), 6)
    assert ready(plan)["a"]["since_ms"] == 6


@dataclass
class Reader:
    """What one checkpoint keeps of all readers, and what they have since."""

    reading: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def copy(self) -> Reader:
        return Reader(dict(self.reading), set(self.ended))


class Resharded(RuleBasedStateMachine):
    """A stream of records that is split and merged, a job that reads it and is lost and restored."""

    @initialize()
    def open(self) -> None:
        self.classes = job_classes()
        self.shards: dict[str, tuple[list[str], bool]] = {"s0": ([], False)}
        self.length = {"s0": 0}
        self.plan = self.classes.kinesis.ShardPlan(STREAM)
        self.reader = Reader()
        self.kept = (bytes(self.plan.toBytes()), self.reader.copy())
        self.read: dict[str, int] = {}  # how far records of a shard have had their effect

    def discover(self) -> None:
        self.plan.found(listed(self.shards), begin(), 5)

    @rule(count=st.integers(1, 3))
    def write(self, count: int) -> None:
        for shard, (_, closed) in self.shards.items():
            self.length[shard] += 0 if closed else count

    @rule(data=st.data())
    def split(self, data: Any) -> None:
        shard = data.draw(
            st.sampled_from([s for s, (_, closed) in self.shards.items() if not closed])
        )
        self.close_into([shard], 2)

    @precondition(lambda self: sum(not closed for _, closed in self.shards.values()) > 1)
    @rule()
    def merge(self) -> None:
        open_ones = [s for s, (_, closed) in self.shards.items() if not closed]
        self.close_into(open_ones[:2], 1)

    def close_into(self, parents: list[str], children: int) -> None:
        for parent in parents:
            self.shards[parent] = (self.shards[parent][0], True)
        for _ in range(children):
            child = f"s{len(self.shards)}"
            self.shards[child] = (parents, False)
            self.length[child] = 0

    @rule()
    def give_out(self) -> None:
        self.discover()
        for shard in ready(self.plan):
            assert shard not in self.reader.reading
            for parent in self.shards[shard][0]:
                assert self.read.get(parent, 0) == self.length[parent], "read before its parent"
            self.plan.isRead(shard)
            self.reader.reading[shard] = 0

    @rule(count=st.integers(1, 4))
    def read_on(self, count: int) -> None:
        for shard, at in list(self.reader.reading.items()):
            to = min(at + count, self.length[shard])
            self.reader.reading[shard] = to
            self.read[shard] = max(self.read.get(shard, 0), to)
            if self.shards[shard][1] and to == self.length[shard]:
                del self.reader.reading[shard]
                self.reader.ended.add(shard)
                self.plan.isAtItsEnd(shard)

    @rule(later=st.booleans())
    def checkpoint(self, later: bool) -> None:
        """The plan's part is of a moment before the readers'."""
        part = bytes(self.plan.toBytes())
        if later:
            self.read_on(4)
        self.kept = (part, self.reader.copy())
        self.reader.ended -= self.kept[1].ended

    @rule()
    def restore(self) -> None:
        part, reader = self.kept
        self.plan = self.classes.kinesis.ShardPlan.of(part)
        self.reader = reader.copy()
        for shard in self.reader.ended:
            self.plan.isAtItsEnd(shard)
        for shard in self.reader.reading:
            self.plan.isRead(shard)

    def teardown(self) -> None:
        if not hasattr(self, "plan"):
            return
        for _ in range(len(self.shards) + 1):
            self.give_out()
            self.read_on(10**6)
        assert {s: n for s, n in self.read.items() if n} == {
            s: n for s, n in self.length.items() if n
        }


TestResharded = Resharded.TestCase
TestResharded.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


def number(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def part(tag: int, content: bytes) -> bytes:
    return number(tag << 3 | 2) + number(len(content)) + content


def aggregate(*records: bytes) -> bytes:
    """As amazon-kinesis-producer packs them."""
    message = part(1, b"C1") + part(1, b"C2")
    for record in records:
        message += part(3, number(1 << 3) + number(0) + part(3, record))
    return b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()


def test_records_that_a_producers_library_packed_into_one_are_each_their_own(classes):
    found = classes.kinesis.Aggregate.of(aggregate(b"one", b"", b"x" * 300))
    assert [bytes(one) for one in found] == [b"one", b"", b"x" * 300]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"plain",
        b"\xf3\x89\x9a\xc2",
        b"\xf3\x89\x9a\xc2" + bytes(40),
        aggregate(b"one")[:-1],
        aggregate(b"one")[:-1] + b"\x00",
        aggregate(),
        b"\xf3\x89\x9a\xc2" + b"\x1a\xff" + hashlib.md5(b"\x1a\xff").digest(),
        b"\xf3\x89\x9a\xc2" + b"\xff" * 12 + hashlib.md5(b"\xff" * 12).digest(),
    ],
    ids=range(9),
)
def test_what_is_no_whole_aggregate_is_one_record_as_it_came(classes, raw):
    assert [bytes(one) for one in classes.kinesis.Aggregate.of(raw)] == [raw]


def test_rows_say_where_they_came_from_and_nothing_comes_after_the_end(classes):
    none = java().java.util.ArrayList()
    shard = classes.kinesis.Shard.unread("tills", "shardId-000000000001", none).after("495")
    emitter = classes.kinesis.RowEmitter(None, 1_700_000_000_123)
    out = java().java.util.ArrayList()
    collector = java().org.apache.flink.api.common.functions.util.ListCollector(out)
    emitter.emit(aggregate(b"{}", b'[{"a":1},{"b":2}]'), shard, 1_700_000_000_123, collector)
    emitter.emit(b"{}", shard, 1_700_000_000_124, collector)
    head = b"kinesis:tills/shardId-000000000001/495|1700000000123\n"
    assert [bytes(row.getField(1)) for row in out] == [
        head + b"{}", head + b'{"a":1}', head + b'{"b":2}',
    ]  # fmt: skip


def test_a_place_is_text_that_a_manifest_can_find_and_that_comes_back(classes):
    from tillstream.cluster.manifest import kinesis_positions

    serializer = classes.kinesis.KinesisSource(STREAM, "af-south-1", None).getSplitSerializer()
    none = java().java.util.ArrayList()
    unread = classes.kinesis.Shard.unread(STREAM, "shardId-000000000001", none)
    for shard, found in (
        (unread, {}),
        (unread.since(7), {}),
        (unread.after("4959"), {f"kinesis:{STREAM}": {"shardId-000000000001": "4959"}}),
        (unread.after("4959").readTo(7), {f"kinesis:{STREAM}": {"shardId-000000000001": "4959"}}),
        (unread.atItsEnd(), {}),
    ):
        raw = bytes(serializer.serialize(shard))
        assert kinesis_positions(b"\x00" + raw + b"\xff", STREAM) == found
        assert serializer.deserialize(1, raw).toString() == shard.toString()
    with pytest.raises(Exception, match="later release"):
        serializer.deserialize(2, raw)
