"""How long a key's state lives: by the stream's own time, which stands still while a job does, and
whatever the settings were when a savepoint was taken."""

from __future__ import annotations

import json
import time
from itertools import islice
from pathlib import Path

import pytest
from py4j.protocol import Py4JJavaError
from pyflink.common import Row, Time
from pyflink.datastream import DataStream
from pyflink.datastream.state import StateTtlConfig

from tests.support.collected import collected, collecting
from tests.support.engine import stopped
from tests.support.sales import T0, canonical, sale
from tests.udfs.test_timers_are_faithful import ROWS, Probe, endless, probing
from tillstream.connectors import batched, sources
from tillstream.connectors.gateway import ours
from tillstream.domain.envelope import seal
from tillstream.udfs.archive import ArchiveOnce
from tillstream.udfs.engine import BYTES, life_of
from tillstream.udfs.stage import StageSettings

SECOND_MS, HOUR_MS = 1_000, 3_600_000


def probed(rows: DataStream, life_ms: int | None, by_arrival: bool = False) -> DataStream:
    return batched.process(
        None, sources.keyed(rows), None, Probe(10**9), state="count", uid="probe", name="probe",
        life_ms=life_ms, by_arrival=by_arrival,
    )  # fmt: skip


def timed(rows: DataStream) -> DataStream:
    """The same as enveloped records that all arrived at once."""
    sealed = rows.map(lambda row: Row(row[0], seal("kafka:x/0/1", T0, row[1])), ROWS)
    return DataStream(
        sealed._j_data_stream.assignTimestampsAndWatermarks(ours().ArrivalTimes.watermarks(30_000))
    )


def saved(folder: Path, life_ms: int | None, drain: bool = False) -> dict[str, str]:
    """Settings that restore a savepoint of three records with such a life. drain: by arrival, too."""
    env = probing(**{"python.operator-chaining.enabled": "false"})
    mark = folder / "seen"

    def seen(value: bytes) -> bytes:
        mark.touch()
        return value

    rows = timed(endless(env)) if drain else endless(env)
    probed(rows, life_ms, drain).map(seen, BYTES).print().uid("end")
    job = env.execute_async()
    while not mark.exists():
        time.sleep(0.1)
    time.sleep(1)
    return {
        "execution.state-recovery.path": stopped(job, f"file://{folder}/saved", drain),
        "execution.state-recovery.ignore-unclaimed-state": "true",
    }


@pytest.mark.parametrize(("before", "after"), [(0, 26), (26, 0)])
def test_a_life_that_is_switched_on_or_off_keeps_what_a_savepoint_has(before, after, tmp_path):
    env = probing(**saved(tmp_path, before * HOUR_MS))
    with collecting(probed(endless(env), after * HOUR_MS)) as results:
        counts = [made.split()[1] for made in islice(results, 3)]
    assert min(map(int, counts)) > 1  # of the key `other`, which was counted before


def test_a_drained_job_remembers_what_it_had(tmp_path):
    """Its stream's time ends, and yet it may be restored."""
    env = probing(**saved(tmp_path, 26 * HOUR_MS, drain=True))
    with collecting(probed(timed(endless(env)), 26 * HOUR_MS, by_arrival=True)) as results:
        counts = [made.split()[-1] for made in islice(results, 3)]
    assert min(map(int, counts)) > 1


def test_flink_itself_restores_no_state_with_a_life_into_one_without(tmp_path):
    """Why ``life_ms`` of 0 is not the same as none: if this passes no more, the two may be one."""
    env = probing(**saved(tmp_path, 26 * HOUR_MS))
    with (
        pytest.raises(Py4JJavaError, match="StateMigrationException"),
        collecting(probed(endless(env), None)) as results,
    ):
        next(results)


def archived(life_ms: int, by_arrival: bool, *arrived: tuple[str, int]) -> list[str]:
    """Ids that come to the archive, of (id, when it arrived); the last comes 3 s after the others."""

    def slowly(row: Row) -> Row:
        # Marks of the stream's time come between them.
        time.sleep(3 if b"/last|" in row[1] else 0.1)
        return row

    env = probing(
        **{"pipeline.auto-watermark-interval": "1 ms", "execution.buffer-timeout": "0 ms"}
    )
    rows = [
        Row(one, seal(f"kafka:tills/0/{'last' if n == len(arrived) else n}", at_ms, canonical(sale(one))))
        for n, (one, at_ms) in enumerate(arrived, 1)
    ]  # fmt: skip
    # In a task of its own: one that sleeps makes no marks.
    slow = env.from_collection(rows, ROWS).map(slowly, ROWS).disable_chaining()
    timed = slow._j_data_stream.assignTimestampsAndWatermarks(
        ours().ArrivalTimes.watermarks(30_000)
    )
    once = batched.process(
        None, sources.keyed(DataStream(timed)), None, ArchiveOnce(StageSettings("archive")),
        state="archived", uid="archive-once", name="archive once",
        life_ms=life_ms, by_arrival=by_arrival,
    )  # fmt: skip
    return [json.loads(row)["transaction_id"] for row in collected(once)]


A, B = "0045-03-20251124-000001", "0045-03-20251124-000002"


@pytest.mark.parametrize(("by_arrival", "kept"), [(True, True), (False, False)])
def test_an_outage_of_longer_than_an_id_lives_takes_no_mark(by_arrival, kept):
    found = archived(SECOND_MS, by_arrival, (A, T0), (B, T0 + 1), (A, T0 + 2))
    assert found == ([A, B] if kept else [A, B, A])


def test_an_id_is_forgotten_once_the_stream_is_so_much_older():
    day = 24 * HOUR_MS
    assert archived(
        day, True, (A, T0), (A, T0 + day - 1), (B, T0 + day + 10), (A, T0 + day + 20)
    ) == [
        A,
        B,
        A,
    ]
    assert archived(0, True, (A, T0), (B, T0 + 400 * day), (A, T0 + 400 * day)) == [A, B]


def test_the_life_of_a_state_starts_no_jvm(monkeypatch):
    """PyFlink's usual way asks for a gateway, which it would start inside the TaskManager."""

    def started() -> None:
        raise AssertionError("a gateway was asked for")

    monkeypatch.setattr("pyflink.common.time.get_gateway", started)
    cleanup = life_of(Time.hours(1)).get_cleanup_strategies()
    strategy = cleanup.get_rocksdb_compact_filter_cleanup_strategy()
    assert strategy.get_query_time_after_num_entries() == 1000
    assert cleanup.get_incremental_cleanup_strategy().get_cleanup_size() == 5
    usual = StateTtlConfig.new_builder(Time.hours(1)).build().get_cleanup_strategies()
    with pytest.raises(AssertionError, match="was asked for"):
        usual.get_rocksdb_compact_filter_cleanup_strategy()
