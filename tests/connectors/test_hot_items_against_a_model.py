"""The buffer of hot items against a plain model of it: whatever comes, is written, fails or crashes in
which order, each item ends as if its versions had been written one after the other as they came."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.support.engine import engine
from tillstream.connectors.gateway import ours

GROUPS = {"v": ("a", "b"), "c_v": ("c",)}  # version of a group -> its fields, which come together
LIMIT = 4
values = st.sampled_from(["", "x", "xyz"])
absent = st.just(None)


@pytest.fixture(scope="module", autouse=True)
def _jar() -> None:
    engine()


def written(table: dict[str, Any], item: dict[str, Any], merge: bool) -> None:
    """As DynamoDB takes a conditional request of the writer."""
    if not merge:
        if item["v"] >= table.get("v", item["v"]):
            table.clear()
            table.update({name: value for name, value in item.items() if value is not None})
        return
    for version, fields in GROUPS.items():
        brought = {name: item[name] for name in fields if name in item}
        at = item.get(version, item["v"])
        if brought and at >= table.get(version, at):
            table[version] = at
            table.update(brought)


class Buffer(RuleBasedStateMachine):
    @initialize(merge=st.booleans(), limit_bytes=st.sampled_from([400, 10**9]))
    def begin(self, merge: bool, limit_bytes: int) -> None:
        sink = ours().HotItemSink("job", "table", "region").attribute("k", "k", "S")
        for name in ("v", "a", "b", "c"):
            sink.attribute(name, name, "N" if name == "v" else "S")
        sink.key("k").version("v")
        self.merge, self.limit_bytes = merge, limit_bytes
        if merge:
            sink.merge().versionOf("c", "c_v")
        self.format = getattr(ours(), "HotItem$Format")(sink)
        self.buffer = self.made()
        self.now = 0
        self.must: dict[str, dict[str, Any]] = {}  # what each item is in the end
        self.table: dict[str, dict[str, Any]] = {}
        self.flying: dict[str, Any] = {}
        self.urgent: dict[str, None] = {}  # in the order in which they came
        self.held: dict[str, int] = {}  # when it is due
        self.behind: dict[str, int] = {}

    def made(self) -> Any:
        return ours().HotItemBuffer(LIMIT, self.limit_bytes, self.format)

    @property
    def size(self) -> int:
        return len(self.urgent) + len(self.held) + len(self.behind)

    @property
    def filling(self) -> bool:
        return self.size > LIMIT // 4 * 3 or (self.limit_bytes == 400 and self.size > 0)

    def waits(self, key: str, due: int) -> None:
        """The model's `add`."""
        if key in self.flying:
            self.behind[key] = min(due, self.behind.get(key, due))
        elif key not in self.urgent:
            due = min(due, self.held.get(key, due))
            if due > self.now:
                self.held[key] = due
            else:
                self.held.pop(key, None)
                self.urgent[key] = None

    def put(self, raw: bytes, due: int) -> None:
        key = json.loads(raw)["k"]
        merged = self.buffer.add(self.format.parse(raw, self.now, due), self.now)
        assert merged == (key in (*self.urgent, *self.held, *self.behind))
        self.waits(key, due)

    @rule(
        key=st.sampled_from("pqrst"), version=st.integers(1, 6), wait=st.integers(0, 3),
        first=st.tuples(values | absent, values | absent), second=values | absent,
        brings=st.sampled_from(["both", "first", "second"]),
    )  # fmt: skip
    def comes(self, key, version, wait, first, second, brings) -> None:
        item = {"k": key, "v": version}
        if brings != "second" or not self.merge:
            item |= {"a": first[0], "b": first[1]}
        if brings != "first" or not self.merge:
            item |= {"c": second}
        written(self.must.setdefault(key, {}), item, self.merge)
        self.put(json.dumps(item).encode(), self.now + wait)

    @rule(live=st.booleans())
    def is_taken(self, live: bool) -> None:
        filling = self.filling
        item = self.buffer.take(self.now, live)
        first_due = min(self.held.values(), default=None)
        if self.urgent:
            key = next(iter(self.urgent))
            del self.urgent[key]
        elif first_due is not None and (live or first_due <= self.now or filling):
            key = min(self.held, key=lambda one: (self.held[one], one))
            del self.held[key]
        else:
            assert item is None
            return
        assert self.read(item)["k"] == key
        self.flying[key] = item

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def is_written(self, data) -> None:
        key = data.draw(st.sampled_from(sorted(self.flying)))
        item = self.flying.pop(key)
        self.apply(item)
        due = self.behind.pop(key, None)
        assert self.buffer.done(item, self.now) == (due is not None)
        if due is not None:
            self.waits(key, due)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), arrived=st.booleans())
    def fails_and_is_tried_again(self, data, arrived: bool) -> None:
        """arrived: the table took it, and only the answer was lost."""
        key = data.draw(st.sampled_from(sorted(self.flying)))
        if arrived:
            self.apply(self.flying[key])
        self.flying[key] = self.buffer.newest(self.flying[key])
        self.behind.pop(key, None)

    @rule()
    def time_passes(self) -> None:
        self.now += 1

    @rule()
    def job_crashes(self) -> None:
        """What was unwritten at a checkpoint just before comes again."""
        left = [bytes(self.format.json(item)) for item in self.buffer.unwritten()]
        assert len(left) == self.size + len(self.flying)
        self.buffer = self.made()
        self.flying, self.urgent, self.held, self.behind = {}, {}, {}, {}
        for raw in left:
            self.put(raw, self.now)

    def read(self, item: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(bytes(self.format.json(item)))
        return found | {name: int(found[name]) for name in GROUPS if name in found}

    def apply(self, item: Any) -> None:
        found = self.read(item)
        written(self.table.setdefault(found["k"], {}), found, self.merge)

    @rule()
    def it_says_how_full_it_is(self) -> None:
        assert self.buffer.size() == self.size
        assert self.buffer.isFilling() == self.filling
        if self.limit_bytes > 400:
            assert self.buffer.isFull() == (self.size >= LIMIT)
            assert self.buffer.isOverfull() == (self.size >= 2 * LIMIT)
        assert self.buffer.nothingUrgent() == (not self.urgent and not self.flying)
        due = min(self.held.values(), default=None)
        expected = 2**63 - 1 if due is None else max(0, due - self.now)
        assert self.buffer.nanosToNext(self.now) == expected

    def teardown(self) -> None:
        if not hasattr(self, "buffer"):
            return
        for item in self.flying.values():
            self.apply(item)
            self.buffer.done(item, self.now)
        self.buffer.releaseAll()
        while (item := self.buffer.take(self.now, False)) is not None:
            self.apply(item)
            self.buffer.done(item, self.now)
        assert self.buffer.isEmpty()
        assert not self.buffer.isFull(), "some bytes are counted for ever"
        for key, must in self.must.items():
            found = {name: value for name, value in self.table[key].items() if name != "k"}
            assert found == {name: value for name, value in must.items() if name != "k"}


TestBuffer = Buffer.TestCase
TestBuffer.settings = settings(
    max_examples=250, stateful_step_count=30, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
