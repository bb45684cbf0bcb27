"""A function called once for many records gives on a real mini cluster, in thread mode, what the
harness gives: the same states, outputs and broadcast state, whatever the size of its batches."""

from __future__ import annotations

import pytest
from batched_harness import BatchedHarness
from pyflink.common import Configuration, Row, Types
from pyflink.datastream import StreamExecutionEnvironment

from tillstream.connectors import batched, jars, sources
from udfs.batched import BatchedFunction, Outputs
from udfs.engine import BYTES

RECORDS = [(f"key-{n % 7}é", f"value {n}".encode()) for n in range(300)]
ROW = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])


class Sums(BatchedFunction):
    """Counts and sums lengths; every tenth record of a key to the side; empty state for key-3."""

    def decode(self, data):
        return [int(n) for n in data.split(b",")]

    def encode(self, state):
        return b",".join(b"%d" % n for n in state)

    def record(self, state, key: str, value: bytes, out: Outputs):
        count, total = state or [0, 0]
        count, total = count + 1, total + len(value)
        out.emit(f"{key}\n{key} {count} {total}".encode())
        if count % 10 == 0:
            out.emit(f"{key} tenth".encode(), 1)
        return None if key.startswith("key-3") else [count, total]

    def control(self, value: bytes, restored: bool, out: Outputs) -> None:
        out.keep("last", value)
        out.emit(b"order " + value, 1)


def by_engine(size: int) -> list[bytes]:
    conf = Configuration()
    conf.set_string("python.execution-mode", "thread")
    conf.set_string("parallelism.default", "1")
    env = StreamExecutionEnvironment.get_execution_environment(conf)
    env.add_jars(jars.ensure_jars(print).job.as_uri())
    rows = env.from_collection([Row(*record) for record in RECORDS], ROW)
    orders = env.from_collection([Row("", b"first")], ROW)
    first = batched.process(
        sources.keyed(rows), orders, Sums(), state="sums", uid="sums", name="sums",
        sides=["side"], batch_size=size,
    )  # fmt: skip
    second = batched.process(
        batched.rekeyed(first, "by-key", "by key"), orders, Sums(), state="sums-2", uid="sums-2",
        name="sums 2", sides=["side"], batch_size=size,
    )  # fmt: skip
    with second.union(batched.side(first, "side")).execute_and_collect() as results:
        return sorted(bytes(b) for b in results)


@pytest.mark.parametrize("size", [1, 64])
def test_harness_and_engine_agree(size):
    first, second = BatchedHarness(Sums()), BatchedHarness(Sums())
    for start in range(0, len(RECORDS), 11):
        made = first.process(*RECORDS[start : start + 11])
        second.process(*(tuple_of(value) for value in made))
    first.control(b"first")
    expected = sorted(second.outputs[0] + first.outputs[1])
    assert by_engine(size) == expected


def tuple_of(value: bytes) -> tuple[str, bytes]:
    key, _, rest = value.partition(b"\n")
    return key.decode(), rest
