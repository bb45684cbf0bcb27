"""A keyed Python job without outside systems: counts per key, and refuses to run but in thread mode."""

from __future__ import annotations

import sys

from pyflink.common import Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.connectors.number_seq import NumberSequenceSource
from pyflink.datastream.state import ValueStateDescriptor


class Count(KeyedProcessFunction):
    def open(self, runtime_context: RuntimeContext) -> None:
        if ".embedded." not in type(runtime_context).__module__:
            raise RuntimeError("not thread mode")
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))

    def process_element(self, value, ctx):
        seen = (self.count.value() or 0) + 1
        self.count.update(seen)
        if seen == 7 and FAIL:
            raise ValueError("seventh record of a key")
        yield seen


FAIL = "fail" in sys.argv


def main() -> None:
    from pyflink.common import WatermarkStrategy

    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_max_parallelism(128)
    numbers = env.from_source(
        NumberSequenceSource(1, 10**12), WatermarkStrategy.no_watermarks(), "numbers", Types.LONG()
    ).uid("numbers")
    counts = numbers.key_by(lambda n: n % 1000).process(Count(), Types.LONG())
    counts.uid("counts").name("counts").print().uid("nowhere") if FAIL else counts.uid("counts")
    env.execute("counts")


if __name__ == "__main__":
    main()
