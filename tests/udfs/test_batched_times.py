"""What a batch makes has the time of the record it comes of: a slow till's ages no other's."""

from __future__ import annotations

import json

from pyflink.common import Duration, Row, Types, WatermarkStrategy
from pyflink.common.watermark_strategy import TimestampAssigner
from pyflink.datastream import ProcessFunction

from tests.support.batched_harness import BatchedHarness
from tests.support.collected import collected
from tests.support.engine import engine
from tests.support.sales import T0, canonical, sale
from tillstream.connectors import batched, sources
from tillstream.domain.envelope import seal
from tillstream.udfs.archive import ArchiveOnce
from tillstream.udfs.engine import BYTES
from tillstream.udfs.stage import StageSettings

ROW = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
OLD_MS = 3_600_000


def records() -> list[Row]:
    """Of 40 the seventh arrived an hour before the others."""
    made = []
    for n in range(40):
        at_ms, name = T0 + n - (OLD_MS if n == 7 else 0), f"0045-03-20251124-{n:06d}"
        made.append(Row(name, seal(f"kafka:tills/0/{n}", at_ms, canonical(sale(name, at_ms)))))
    return made


class Arrived(TimestampAssigner):
    def extract_timestamp(self, value: Row, record_timestamp: int) -> int:
        return int(value[1].partition(b"\n")[0].rpartition(b"|")[2])


class WithTime(ProcessFunction):
    def process_element(self, value: bytes, ctx: ProcessFunction.Context):
        yield json.dumps([json.loads(value)["taken_ms"], ctx.timestamp()]).encode()


def test_in_the_harness():
    harness = BatchedHarness(ArchiveOnce(StageSettings("archive")))
    harness.process(*((row[0], row[1]) for row in records()))
    assert harness.records == list(range(40))


def test_on_the_engine():
    env = engine(**{"python.operator-chaining.enabled": "false"})
    lag = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_days(1))
    rows = env.from_collection(records(), ROW)
    rows = rows.assign_timestamps_and_watermarks(lag.with_timestamp_assigner(Arrived()))
    archived = batched.process(
        None, sources.keyed(rows), None, ArchiveOnce(StageSettings("archive")), state="archived",
        uid="archive-once", name="archive once", wait_ms=500,
    )  # fmt: skip
    times = [json.loads(value) for value in collected(archived.process(WithTime(), BYTES))]
    assert len(times) == 40
    assert [own for own, given in times if own != given] == []
