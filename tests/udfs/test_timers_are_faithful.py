"""Timers of the harness against a real mini cluster in thread mode; and the shortage job's watch."""

from __future__ import annotations

import time
from pathlib import Path

from harness import KeyedHarness
from pyflink.common import Configuration, Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.state import ValueStateDescriptor
from test_shortage_functions import history, watch_function

from tillstream.connectors import sources
from udfs.engine import BYTES

COUNT = ValueStateDescriptor("count", Types.PICKLED_BYTE_ARRAY())


class Probe(KeyedProcessFunction):
    """Counts elements by key; a timer, set twice for one time and once for another that is taken
    back, tells the count and sets one more."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self.count = runtime_context.get_state(COUNT)
        self.first_ms: dict[str, int] = {}

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context):
        count = (self.count.value() or 0) + 1
        self.count.update(count)
        if count == 1:
            timers = ctx.timer_service()
            at_ms = self.first_ms[ctx.get_current_key()] = timers.current_processing_time() + 300
            timers.register_processing_time_timer(at_ms)
            timers.register_processing_time_timer(at_ms)
            timers.register_processing_time_timer(at_ms + 10)
            timers.delete_processing_time_timer(at_ms + 10)
        return [b"%s %d" % (value, count)]

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext):
        key, count = ctx.get_current_key(), self.count.value()
        after = timestamp - self.first_ms[key]
        if after == 0:
            ctx.timer_service().register_processing_time_timer(timestamp + 50)
            self.count.update(count + 100)
        return [b"%s told %d after %d" % (key.encode(), count, after)]


def wait(row: Row) -> Row:
    """The first late record waits, so that timers fire before it."""
    if bytes(row[1]) == b"late 4":
        time.sleep(5)
    return row


def engine() -> StreamExecutionEnvironment:
    conf = Configuration()
    conf.set_string("python.execution-mode", "thread")
    conf.set_string("parallelism.default", "1")
    env = StreamExecutionEnvironment.get_execution_environment(conf)
    env.add_python_file(
        str(Path(__file__).parent)
    )  # for Probe, which is found by its module's name
    return env


ROWS = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])


def run(env: StreamExecutionEnvironment, records, function, slow: bool = False) -> list[bytes]:
    rows = env.from_collection([Row(key, value) for key, value in records], ROWS)
    if slow:
        rows = rows.map(wait, ROWS)
    with sources.keyed(rows).process(function, BYTES).execute_and_collect() as results:
        return [bytes(one) for one in results]


def test_timers_fire_once_for_their_key_with_its_state_and_may_set_others():
    records = [("a", b"1"), ("b", b"2"), ("a", b"3"), ("a", b"late 4"), ("b", b"late 5")]
    harness = KeyedHarness(Probe(), now_ms=5_000)
    for key, value in records[:3]:
        harness.process(key, value)
    assert harness.advance_to(5_299) == []
    harness.advance_to(5_350)
    for key, value in records[3:]:
        harness.process(key, value)
    assert harness.timers == set()
    assert sorted(run(engine(), records, Probe(), slow=True)) == sorted(harness.main)


def test_the_watch_over_shelves_says_in_the_engine_what_it_says_in_the_harness():
    records = history(45) + history(46)
    harness = KeyedHarness(watch_function())
    for key, value in records:
        harness.process(key, value)
    assert len(harness.main) == 2
    assert sorted(run(engine(), records, watch_function(thread_mode=True))) == sorted(harness.main)
