"""A batched stage run as PyFlink would have it: one call and its state accesses for each record.

Only to measure beside: in thread mode or in PyFlink's default process mode. ``process`` stands in for
``tillstream.connectors.batched.process``; it has no broadcast input and forgets no key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from pyflink.datastream import (
    DataStream,
    KeyedProcessFunction,
    KeyedStream,
    OutputTag,
    RuntimeContext,
)
from pyflink.datastream.state import ValueState, ValueStateDescriptor

from tillstream.udfs.batched import MADE, STATE, BatchedStage, Outputs, output_numbers
from tillstream.udfs.engine import BYTES, STATE_BYTES


def process(
    context: Any, records: KeyedStream, control: DataStream | None, function: BatchedStage, *, state: str,
    uid: str, name: str, **_: Any,
) -> DataStream:  # fmt: skip
    """``records`` through ``function``, one call a record."""
    made = records.process(OneByOne(function, state), BYTES)
    return made.uid(uid).name(f"{name}, one call a record")


class OneByOne(KeyedProcessFunction):
    """The same rules and the same state, kept as PyFlink's pickle of the codec's bytes."""

    def __init__(self, function: BatchedStage, state: str) -> None:
        function.settings = function.settings._replace(thread_mode=False)
        self.function, self.name = function, state
        self.numbers = output_numbers(function.sides)
        self.tags = [OutputTag(name, BYTES) for name in function.sides]

    def open(self, runtime_context: RuntimeContext) -> None:
        self.function.open(runtime_context)
        codec = self.function.codec
        assert codec is not None
        self.decode = self.function.reader()
        self.encode = codec.writer(self.function.settings.write_versions)
        descriptor = ValueStateDescriptor(self.name, STATE_BYTES)
        self.state: ValueState = runtime_context.get_state(descriptor)

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterable[Any]:
        record = self.function.record
        return self._handle(lambda before, out: record(before, value, out), ctx)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterable[Any]:
        due, key = self.function.due, ctx.get_current_key()
        return self._handle(lambda before, out: due(before, key, timestamp, out), ctx)

    def _handle(self, rule: Callable[[Any, Outputs], Any], ctx: Any) -> Iterable[Any]:
        stored = self.state.value()
        before = None if stored is None else self.decode(stored)
        out = Outputs(self.numbers, time.time_ns() // 1_000_000)
        after = rule(before, out)
        if after is not None:
            self.state.update(self.encode(after))
        for at_ms in out.wakes:
            ctx.timer_service().register_processing_time_timer(at_ms)
        for head, made in zip(out.made[::2], out.made[1::2], strict=True):
            kind, _, side, _ = MADE.unpack(head)
            assert kind != STATE
            yield (self.tags[side - 1], made) if side else made
