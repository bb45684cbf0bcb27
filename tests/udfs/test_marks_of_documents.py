"""What is known of stock documents and transfers outlives an outage: it goes by the stream's own time."""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

import pytest
from pyflink.common import Row
from pyflink.datastream import DataStream

from tests.support.collected import collected, collecting
from tests.support.engine import engine, stopped
from tests.support.harness import KeyedHarness
from tests.udfs.test_forgetting import timed
from tests.udfs.test_inventory_functions import HOUR_MS, KINDS, MILK, SETTINGS, T0, movement
from tests.udfs.test_timers_are_faithful import ROWS, endless
from tillstream.connectors import sources
from tillstream.connectors.gateway import ours
from tillstream.domain.envelope import seal, unseal
from tillstream.domain.stock.transfers import Carried, TransferEnd, TransferRules, on_end
from tillstream.state_schemas.keyed import archived_mark
from tillstream.udfs.engine import BYTES
from tillstream.udfs.inventory import StockDocuments
from tillstream.udfs.single import SingleStage

DAY_MS = 24 * HOUR_MS


def first_seen(life_ms: int, *arrived: tuple[str, int]) -> list[str]:
    """Keys that had no state, of (key, when it arrived); the last one comes 3 s after the others."""

    class Once(SingleStage):
        codec: Any = property(lambda _: archived_mark.CODEC)  # by name, for it cannot be pickled
        kept = "mark"

        def record(self, state, value, out):
            if state is None:
                out.emit(bytes(unseal(value).raw))
            return archived_mark.Mark(b"") if state is None else None

    def slowly(row: Row) -> Row:
        # Marks of the stream's time come between them.
        time.sleep(3 if b"/last|" in row[1] else 0.1)
        return row

    env = engine(**{"pipeline.auto-watermark-interval": "1 ms", "execution.buffer-timeout": "0 ms"})
    rows = []
    for n, (key, at_ms) in enumerate(arrived, 1):
        place = f"kafka:moves/0/{'last' if n == len(arrived) else n}"
        rows.append(Row(key, seal(place, at_ms, key.encode())))
    # In a task of its own: one that sleeps makes no marks.
    slow = env.from_collection(rows, ROWS).map(slowly, ROWS).disable_chaining()
    stream = slow._j_data_stream.assignTimestampsAndWatermarks(
        ours().ArrivalTimes.watermarks(30_000)
    )
    stage = Once(SETTINGS)
    stage.life_ms = life_ms
    made = sources.keyed(DataStream(stream)).process(stage, BYTES).uid("once")
    return [one.decode() for one in collected(made)]


def test_an_outage_takes_no_mark():
    assert first_seen(1_000, ("a", T0), ("b", T0 + 1), ("a", T0 + 2)) == ["a", "b"]


def test_a_mark_is_forgotten_once_the_stream_is_so_much_older():
    assert first_seen(
        DAY_MS, ("a", T0), ("a", T0 + DAY_MS - 1), ("b", T0 + DAY_MS + 10), ("a", T0 + DAY_MS + 20)
    ) == ["a", "b", "a"]


def test_marks_of_a_savepoint_of_before_are_known_though_they_have_no_timers(tmp_path):
    """Their life went by the machine's clock, and their source was not timed."""

    class Known(SingleStage):
        codec: Any = property(lambda _: archived_mark.CODEC)
        kept = "document"

        def record(self, state, value, out):
            out.emit(b"new" if state is None else b"known")
            return archived_mark.Mark(b"") if state is None else None

    def stage(life_ms: int) -> SingleStage:
        made = Known(SETTINGS)
        made.life_ms = life_ms
        return made

    env, mark = engine(**{"python.operator-chaining.enabled": "false"}), tmp_path / "seen"

    def seen(value: bytes) -> bytes:
        mark.touch()
        return value

    made = sources.keyed(endless(env)).process(stage(0), BYTES).uid("once")
    made.map(seen, BYTES).print().uid("end")
    job = env.execute_async()
    while not mark.exists():
        time.sleep(0.1)
    time.sleep(1)
    saved = stopped(job, f"file://{tmp_path}/saved")
    env = engine(
        **{"execution.state-recovery.path": saved,
           "execution.state-recovery.ignore-unclaimed-state": "true"}
    )  # fmt: skip
    again = sources.keyed(timed(endless(env))).process(stage(DAY_MS), BYTES).uid("once")
    with collecting(again) as results:
        assert list(islice(results, 3)) == [b"known"] * 3


def test_a_document_is_remembered_for_longer_than_its_repeat_could_be_taken_for_new():
    """A transfer that was settled was told to the store as missing."""
    documents = KeyedHarness(StockDocuments(SETTINGS, KINDS, (45, 46)))
    sent = movement(
        document_id="moved-0045-1", kind="transfer_out", reference="T-1", event_time_ms=T0
    )
    for hours in (0, 192):
        documents.advance_to(T0 + hours * HOUR_MS)
        documents.process("moved-0045-1", seal("kafka:moves/0/7", T0 + hours * HOUR_MS, sent))
        assert len(documents.side["transfers"]) == 1
    assert documents.timers == {(T0 + 216 * HOUR_MS, "moved-0045-1")}
    documents.advance_to(T0 + 216 * HOUR_MS - 1)
    assert documents.state["moved-0045-1"]
    documents.advance_to(T0 + 216 * HOUR_MS)
    assert not documents.state["moved-0045-1"]


def test_a_job_that_is_drained_forgets_nothing():
    documents = KeyedHarness(StockDocuments(SETTINGS, KINDS, (45, 46)))
    documents.process("count-0045-1", seal("kafka:moves/0/7", T0, movement()))
    documents.advance_to(2**63 - 1)
    assert documents.state["count-0045-1"]


def end(out: bool, day: int) -> TransferEnd:
    at_ms = T0 + day * DAY_MS
    return TransferEnd("T-1", out, 45 if out else 46, at_ms, at_ms, {MILK: 10})


@pytest.mark.parametrize(("day", "sent"), [(30, 10), (31, 0)])
def test_a_reference_that_was_never_settled_is_another_transfer_a_month_later(day, sent):
    """By the documents' own times, whatever the machine's clock was meanwhile."""
    rules = TransferRules()
    state, _ = on_end(None, end(True, 0), T0, rules)
    after, _ = on_end(state, end(False, day), T0, rules)
    settled = not after.products
    assert settled if sent else after.products == {MILK: Carried(0, 10)}
