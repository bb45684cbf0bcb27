"""A batched function run as PyFlink would have it: one call and its state accesses for each record.

Only to measure beside: in thread mode or in PyFlink's default process mode.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import unpack_from
from typing import Any

from pyflink.datastream import KeyedProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor

from udfs.batched import STATE, BatchedFunction, Outputs
from udfs.engine import BYTES, STATE_BYTES


class OneByOne(KeyedProcessFunction):
    """The same rules and the same state, kept as PyFlink's pickle of the codec's bytes."""

    def __init__(self, function: BatchedFunction, sides: list[str]) -> None:
        function.thread_mode = False
        self.function = function
        self.tags = [OutputTag(name, BYTES) for name in sides]

    def open(self, runtime_context: RuntimeContext) -> None:
        self.function.open(runtime_context)
        codec = self.function.codec
        self.decode, self.encode = codec.decode, codec.writer(self.function.write_versions)
        descriptor = ValueStateDescriptor("state", STATE_BYTES)
        self.state: ValueState = runtime_context.get_state(descriptor)

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterable[Any]:
        stored = self.state.value()
        before = None if stored is None else self.decode(stored)
        out = Outputs()
        after = self.function.record(before, ctx.get_current_key(), value, out)
        if after is not None:
            self.state.update(self.encode(after))
        for head, made in zip(out.made[::2], out.made[1::2], strict=True):
            kind, side, _ = unpack_from(">bii", head)
            assert kind != STATE
            yield (self.tags[side - 1], made) if side else made
