"""Timers of batched stages: the harness against a real mini cluster in thread mode, and a savepoint of
one call a record, whose state and timers the batched stage finds; and the shortage job's watch."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import (
    DataStream,
    KeyedProcessFunction,
    RuntimeContext,
    StreamExecutionEnvironment,
)
from pyflink.datastream.state import ValueStateDescriptor

from tests.support.batched_harness import BatchedHarness
from tests.support.collected import collected, collecting
from tests.support.engine import engine, stopped
from tests.udfs.test_shortage_functions import history, watch_function
from tillstream.connectors import batched, sources
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.engine import BYTES, STATE_BYTES
from tillstream.udfs.stage import StageSettings

ROWS = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])


class Number:
    """A codec of whole numbers."""

    decode = staticmethod(int)

    def writer(self, versions: Mapping[str, int]) -> Callable[[int], bytes]:
        return lambda number: b"%d" % number


class Probe(BatchedStage):
    """Counts records by key; a timer, set twice by the first, tells the count and sets one more."""

    codec: Any = Number()

    def __init__(self, wait_ms: int = 300) -> None:
        super().__init__(StageSettings("probe"))
        self.wait_ms = wait_ms

    def record(self, state: int | None, value: bytes, out: Outputs) -> int:
        count = (state or 0) + 1
        if count == 1:
            out.wake(out.now_ms + self.wait_ms)
            out.wake(out.now_ms + self.wait_ms)
        out.emit(b"%s %d" % (value, count))
        return count

    def due(self, state: int, key: str, at_ms: int, out: Outputs) -> int | None:
        assert at_ms <= out.now_ms
        out.emit(b"%s told %d" % (key.encode(), state))
        if state > 100:
            return None
        out.wake(at_ms + 50)
        return state + 100

    def reader(self) -> Callable[[bytes], int]:
        return lambda stored: int(pickle.loads(stored) if stored[:1] == b"\x80" else stored)


class AsBefore(KeyedProcessFunction):
    """A probe of one call a record, as PyFlink has it, whose timer is set but never seen to fire."""

    def __init__(self, seen: Path) -> None:
        self.seen = seen

    def open(self, runtime_context: RuntimeContext) -> None:
        self.count = runtime_context.get_state(ValueStateDescriptor("count", STATE_BYTES))

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterable[bytes]:
        count = int(self.count.value() or 0) + 1
        self.count.update(b"%d" % count)
        if count == 1:
            timers = ctx.timer_service()
            timers.register_processing_time_timer(timers.current_processing_time() + 15_000)
        (self.seen / f"{ctx.get_current_key()}-{count}").touch()
        return ()

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterable[bytes]:
        (self.seen / "too-early").touch()
        return ()


def wait(row: Row) -> Row:
    """The first late record waits, so that timers fire before it."""
    if bytes(row[1]) == b"late 4":
        time.sleep(5)
    return row


def probing(**settings: str) -> StreamExecutionEnvironment:
    env = engine(**settings)
    # For the probes, which are found by their module's name.
    env.add_python_file(str(Path(__file__).parent))
    return env


def through(rows: DataStream, function: BatchedStage) -> DataStream:
    keyed = sources.keyed(rows)
    return batched.process(None, keyed, None, function, state="count", uid="probe", name="probe")


def run(records: list[tuple[str, bytes]], function: BatchedStage) -> list[bytes]:
    rows = probing().from_collection([Row(key, value) for key, value in records], ROWS)
    return collected(through(rows.map(wait, ROWS), function))


def test_timers_fire_once_for_their_key_with_its_state_and_may_set_others():
    records = [("a", b"1"), ("b", b"2"), ("a", b"3"), ("a", b"late 4"), ("b", b"late 5")]
    harness = BatchedHarness(Probe(), now_ms=5_000)
    harness.process(*records[:3])
    assert harness.advance_to(5_299) == []
    harness.advance_to(5_350)
    harness.process(*records[3:])
    assert harness.timers == set()
    assert harness.main[3:] == [
        b"a told 2", b"b told 1", b"a told 102", b"b told 101", b"late 4 103", b"late 5 102",
    ]  # fmt: skip
    assert sorted(run(records, Probe())) == sorted(harness.main)


def endless(env: StreamExecutionEnvironment) -> DataStream:
    """Records of the keys a, b and a, then of others, slowly."""
    java = env._j_stream_execution_environment
    numbers = batched.java().org.apache.flink.api.connector.source.lib.NumberSequenceSource(
        0, 2**40
    )
    marks = batched.java().org.apache.flink.api.common.eventtime.WatermarkStrategy.noWatermarks()
    return DataStream(java.fromSource(numbers, marks, "numbers").uid("numbers")).map(slowly, ROWS)


def slowly(number: int) -> Row:
    time.sleep(0.05)
    return Row("aba"[number] if number < 3 else "other", b"%d" % number)


def test_state_and_timers_of_one_call_a_record_are_found_in_a_savepoint(tmp_path):
    env = probing()
    before = sources.keyed(endless(env)).process(AsBefore(tmp_path), BYTES).uid("probe")
    before.print().uid("end")
    job = env.execute_async()
    while not (tmp_path / "other-2").exists():
        time.sleep(0.1)
    saved = stopped(job, f"file://{tmp_path}/saved")
    assert not (tmp_path / "too-early").exists()

    env = probing(**{
        "execution.state-recovery.path": saved,
        "execution.state-recovery.ignore-unclaimed-state": "true",
    })  # fmt: skip
    told: list[bytes] = []
    with collecting(through(endless(env), Probe())) as results:
        for made in islice(results, 1_000):  # of 50 ms
            told += [made] if made.startswith((b"a told", b"b told")) else []
            if len(told) == 4:
                break
    assert sorted(told) == [b"a told 102", b"a told 2", b"b told 1", b"b told 101"]


def test_the_watch_over_shelves_says_in_the_engine_what_it_says_in_the_harness():
    records = history(45) + history(46)
    harness = BatchedHarness(watch_function())
    harness.process(*records)
    assert len(harness.main) == 2
    assert sorted(run(records, watch_function())) == sorted(harness.main)
