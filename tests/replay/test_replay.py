"""The parts of a replay: what is missing, putting it back in order, setting repeated history aside."""

from __future__ import annotations

import io
from types import SimpleNamespace

import boto3
import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto import mock_aws

from tillstream import catalog
from tillstream.catalog import tables
from tillstream.clients import parquet
from tillstream.clients.storage import Disk, S3Folder
from tillstream.cluster.local import LocalCluster
from tillstream.cluster.manifest import Manifest
from tillstream.conf import PACKAGE, load
from tillstream.history import settle as history
from tillstream.history.settle import Span
from tillstream.local.stack import Stack
from tillstream.replay import backfill
from tillstream.replay.coverage import Piece, Row, in_order, lies_in, places_of
from tillstream.replay.phases import (
    Done,
    Filling,
    Live,
    Origin,
    Phases,
    Reading,
    ReplayError,
    Start,
)
from tillstream.replay.stream_reach import Gap, Reach, gap
from tillstream.replay.watch import Progress, Watch

T0 = 1_764_000_000_000
MINUTE = 60_000


def savepoint(**positions: str) -> Manifest:
    places = {"kafka:transactions": {k.removeprefix("p"): v for k, v in positions.items()}}
    return Manifest("loyalty", "id", "file:///s", T0, T0, 1, "1", "1.20", 1, {}, places)


OF_LOYALTY = load("local").of(catalog.job("loyalty"))


def test_nothing_is_missing_while_the_stream_holds_all_that_follows():
    held = Reach(kafka={0: (90, 200), 1: (0, 50)})
    assert not gap(savepoint(p0="100", p1="0"), OF_LOYALTY, held, {0: 100, 1: 0})


def test_what_the_topic_let_go_of_is_missing_by_partition():
    held = Reach(kafka={0: (150, 200), 1: (0, 50), 2: (7, 9)})
    found = gap(savepoint(p0="100", p1="20"), OF_LOYALTY, held, {0: 100, 1: 20})
    assert found.offsets == {0: (100, 150), 2: (0, 7)}


def test_a_kinesis_stream_is_judged_by_time_with_room_for_clocks():
    conf = load("local", {"source": {"kind": "kinesis"}})
    name = "kinesis:till-transactions"
    one = msgspec.structs.replace(
        savepoint(), taken_at_ms=T0 + 99 * MINUTE, positions={name: {"s": "1", "t": "9"}},
        read_to_ms={name: {"s": T0, "t": T0 + MINUTE}},
    )  # fmt: skip
    assert not gap(one, conf, Reach(oldest_ms=T0 - 2 * MINUTE), {})
    missing = gap(one, conf, Reach(oldest_ms=T0 + 10 * MINUTE), {})
    assert (missing.from_ms, missing.to_ms) == (T0 - MINUTE, T0 + 11 * MINUTE)


def test_a_record_lies_in_the_gap_by_its_place():
    missing = Gap({3: (10, 20)})
    assert [lies_in(missing, (3, n)) for n in (9, 10, 19, 20)] == [False, True, True, False]
    assert not lies_in(missing, (1, 15))
    stream = "kafka:transactions"
    assert places_of(f"{stream}/3/17", stream) == (3, 17, 17)
    assert places_of(f"{stream}/3/17-20", stream) == (3, 17, 20)
    others = ("by hand", "kafka:another/3/17", f"{stream}/3/x", f"{stream}/3/", f"{stream}/x/1", "")
    for other in others:
        assert places_of(other, stream) is None


def row(part: int, at: int) -> Row:
    return Row((part, at), "k", b"", 0, "")


def test_only_a_stretch_of_the_archive_is_held_in_memory():
    read = 0

    def rows(key: str) -> list[Row]:
        nonlocal read
        read = int(key)
        return [row(0, int(key))]

    pieces = [Piece(str(n), T0 + n, {0: n}) for n in range(1000)]
    assert max(read - r.place[1] for r in in_order(pieces, rows)) == 0


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_bucket(Bucket="tillstream")
        yield client


def in_bucket(monkeypatch, client) -> None:
    """Makes this client's bucket the one of conf."""
    monkeypatch.setattr("tillstream.clients.aws.listening", lambda conf, service: client)


def put(client, key: str, ids: list[str]) -> None:
    put_table(client, f"ledger/loyalty/{key}", {"customer_id": ["C1"] * len(ids), "entry_id": ids})


def put_table(client, key: str, columns: dict[str, list]) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    client.put_object(Bucket="tillstream", Key=key, Body=out.getvalue())


def listed(client) -> set[str]:
    return {file.name for file in S3Folder(client, "tillstream", "ledger/loyalty").files()}


def test_rows_that_a_replay_wrote_again_are_set_aside(s3, monkeypatch):
    conf = load("local")
    in_bucket(monkeypatch, s3)
    put(s3, "date=d1/before", ["a", "b"])
    put(s3, "date=d1/after", ["c", "d"])
    put(s3, "date=d1/partly", ["e", "f"])
    put(s3, "date=d2/elsewhere", ["z"])
    for name in ("one", "two"):
        put(s3, f"date=d1/new-{name}", ["c", "e"] if name == "one" else ["d", "g"])
    made = history.finished

    def dated(bucket, prefix, since_ms):
        return [f._replace(finished_ms=100 if "new" in f.key else 50)
                for f in made(bucket, prefix, 0)]  # fmt: skip

    monkeypatch.setattr("tillstream.history.settle.finished", dated)
    settled = history.settle(conf, "loyalty", Span(40, 100), "r1")
    assert settled == (2, 3)
    left = {name for name in listed(s3) if not name.startswith("_")}
    assert left == {
        "date=d1/before", "date=d1/compacted-50-partly-kept-r1.parquet", "date=d2/elsewhere",
        "date=d1/new-one", "date=d1/new-two",
    }  # fmt: skip
    assert "_replayed/r1/date=d1/after" in listed(s3)
    kept = s3.get_object(
        Bucket="tillstream", Key="ledger/loyalty/date=d1/compacted-50-partly-kept-r1.parquet"
    )
    assert parquet.table(kept["Body"].read())["entry_id"].to_pylist() == ["f"]
    assert history.settle(conf, "loyalty", Span(40, 100), "r2") == (0, 0)


def test_a_job_of_which_nobody_says_what_it_writes_is_not_passed_over_silently():
    with pytest.raises(catalog.UnknownJob, match="another job"):
        history.settle(load("local"), "another job", Span(40, 100), "r1")
    assert history.settle(load("local"), "promotions", Span(40, 100), "r1") == (0, 0)  # writes none


def test_every_job_says_what_it_writes():
    jobs = [p.stem for p in (PACKAGE / "jobs").glob("*.py") if "__main__" in p.read_text()]
    assert len(jobs) >= 7
    for job in jobs:
        assert catalog.job(job).sums == (job == "sales")


def dated_by_name(monkeypatch) -> None:
    """Files whose name begins with new- are the replay's."""
    made = history.finished

    def dated(bucket, prefix, since_ms):
        return [f._replace(finished_ms=100 if "/new-" in f.key else 50)
                for f in made(bucket, prefix, 0)]  # fmt: skip

    monkeypatch.setattr("tillstream.history.settle.finished", dated)


def entries(client, key: str, identity: tuple[str, str]) -> list[tuple]:
    body = client.get_object(Bucket="tillstream", Key=key)["Body"].read()
    table = parquet.table(body)
    return list(zip(*(table[name].to_pylist() for name in identity), strict=True))


def test_a_promotions_entry_of_another_shelf_stays_though_its_id_is_the_same(s3, monkeypatch):
    in_bucket(monkeypatch, s3)
    dated_by_name(monkeypatch)
    day = "ledger/stock/date=d1"
    before = {"stock_key": ["45/1", "45/2", "46/1"], "entry_id": ["P:week/1", "P:week/1", "t/1"]}
    again = {"stock_key": ["45/2", "46/1"], "entry_id": ["P:week/1", "t/1"]}
    put_table(s3, f"{day}/old", before)
    put_table(s3, f"{day}/new-one", again)
    assert history.settle(load("local"), "inventory", Span(40, 100), "r1") == (1, 2)
    kept = f"{day}/compacted-50-old-kept-r1.parquet"
    assert entries(s3, kept, ("stock_key", "entry_id")) == [("45/1", "P:week/1")]


def test_a_shelfs_lines_are_known_by_shelf_and_version(s3, monkeypatch):
    in_bucket(monkeypatch, s3)
    dated_by_name(monkeypatch)
    day = "shortages/date=d1/region=gauteng"
    put_table(s3, f"{day}/old", {"shelf": ["45/1", "45/1", "46/1"], "version": [7, 8, 8]})
    put_table(s3, f"{day}/new-one", {"shelf": ["45/1", "46/1"], "version": [8, 8]})
    assert history.settle(load("local"), "shortage", Span(40, 100), "r1") == (1, 2)
    assert entries(s3, f"{day}/compacted-50-old-kept-r1.parquet", ("shelf", "version")) == [
        ("45/1", 7)
    ]


def test_every_history_that_is_set_aside_has_its_prefix_and_columns():
    conf = load("local")
    set_aside = [one for job in catalog.jobs() for one in job.set_aside]
    assert {one.id for one in set_aside} == {one.id for one in tables.HISTORIES} - {
        "dead_letters",
        "archive",
    }
    for one in set_aside:
        assert conf.prefix(one)
        for name in one.identity:
            assert f" {name} " in one.row_type.replace("`", "").replace("<", "< ")


def test_a_phase_is_read_back_as_written_until_it_is_done(tmp_path):
    phases = Phases(Disk(tmp_path / "replays"))
    assert phases.load("loyalty") is None
    origin = Origin(
        job="loyalty", replay_id="R", savepoint="file:///s", taken_at_ms=T0, boundary_ms=T0
    )
    missing = Gap({0: (1, 2)})
    for phase in (
        Filling(origin=origin, gap=missing, state="file:///s", begun={1: 7}),
        Reading(origin=origin, gap=missing, start=Start("file:///s", True), round=2, job_id="j"),
        Live(origin=origin, start=Start("file:///t"), begins={"start_ms": 5}),
    ):
        phases.save(phase)
        assert phases.load("loyalty") == phase
        assert (tmp_path / "replays" / "loyalty.json").stat().st_mode & 0o777 == 0o600
    phases.save(Done(origin=origin))
    assert phases.load("loyalty") is None


def test_each_round_through_the_archive_has_a_topic_of_its_own():
    origin = Origin(job="loyalty", replay_id="R", savepoint="s", taken_at_ms=T0, boundary_ms=T0)
    first, second = (Filling(origin=origin, gap=Gap(), state="s", round=n) for n in (1, 2))
    assert (first.topic, second.topic) == ("replay-loyalty-r-1", "replay-loyalty-r-2")


def test_a_replay_that_an_earlier_release_began_says_how_to_go_on(tmp_path):
    phases = Phases(Disk(tmp_path))
    old = {"job": "loyalty", "replay_id": "r", "savepoint": "file:///s", "phase": "archive"}
    (tmp_path / "loyalty.json").write_bytes(orjson.dumps(old))
    with pytest.raises(ReplayError, match=r"earlier release.*begin again with --from file:///s"):
        phases.load("loyalty")
    (tmp_path / "loyalty.json").write_bytes(orjson.dumps(old | {"phase": "done"}))
    assert phases.load("loyalty") is None
    (tmp_path / "loyalty.json").write_bytes(b"{")
    with pytest.raises(ReplayError, match="cannot be read"):
        phases.load("loyalty")


class Rest:
    """Answers as the engine does; figures are per subtask."""

    def __init__(self, **figures: list[float]):
        self.figures = figures

    def job(self, job_id):
        metrics = {"write-records": 500}
        return {
            "state": "RUNNING",
            "vertices": [
                {"id": "v", "name": "Source: till transactions", "metrics": metrics},
                {"id": "w", "name": "points ledger", "metrics": {"write-records": 7}},
            ],
        }

    def metric_names(self, job_id, vertex):
        return [f"Source__till.{name}" for name in self.figures] + ["other"]

    def metric_rows(self, job_id, vertex, names):
        return [
            {"id": name, "sum": sum(values), "max": max(values)}
            for name in names
            for values in [self.figures[name.rpartition(".")[2]]]
        ]


def watch(**figures: list[float]) -> Watch:
    """Of a job whose engine says so."""

    class Local(LocalCluster):
        flink = Rest(**figures)

    return Watch(Local(Stack("/nowhere")), "j")


def test_progress_says_how_far_behind_and_how_much_waits():
    found = watch(pendingRecords=[100, 50], currentEmitEventTimeLag=[90_000, 20]).look()
    assert (found.read, found.behind_ms, found.waiting) == (500, 90_000, 150)
    assert not found.caught_up
    assert found.line().startswith("500 read, 0/s, 90 s behind, 150 waiting")


def test_caught_up_means_seconds_behind_or_nothing_waiting():
    assert watch(currentEmitEventTimeLag=[3_000]).look().caught_up
    assert watch(pendingRecords=[0], currentEmitEventTimeLag=[1e9]).look().caught_up
    assert not watch().look().caught_up
    assert watch(millisBehindLatest=[-1, 400]).look().behind_ms == 400


def test_what_kinesis_says_counts_before_the_age_of_the_last_record_of_a_quiet_stream():
    assert watch(millisBehindLatest=[0, 0], currentEmitEventTimeLag=[90_000]).look().behind_ms == 0


def test_a_rate_gives_the_time_by_which_all_is_read():
    line = Progress(10, 1000.0, 7_300_000, 60_000, "RUNNING").line()
    assert line.startswith("10 read, 1,000/s, 2.0 h behind, 60,000 waiting, read by ")
    assert Progress(0, 0.0, None, None, "RESTARTING").line() == "the job is restarting"


def test_what_is_put_back_says_when_and_where_it_first_arrived(monkeypatch):
    sent = []

    class Told:
        problem = ""

        def __init__(self, producer, topic): ...

        def send(self, key, raw, **more):
            sent.append(more)

        def flush(self, wait_s):
            return ""

    row = Row((0, 7), "C1", b"{}", 1_764_000_000_000, "kafka:transactions/0/7")
    monkeypatch.setattr(backfill, "open_bucket", lambda conf: SimpleNamespace(get=lambda key: b""))
    monkeypatch.setattr(backfill, "in_order", lambda pieces, read: [row])
    monkeypatch.setattr(backfill, "open_producer", lambda settings: None)
    monkeypatch.setattr(backfill, "Writer", Told)
    conf = load("local", {"kafka": {"bootstrap": "h:1"}})
    assert backfill.fill(conf, SimpleNamespace(pieces=[]), "again", lambda count: None) == 1
    assert sent == [
        {
            "timestamp": row.taken_ms,
            "headers": [
                ("tillstream.origin", b"kafka:transactions/0/7"),
                ("tillstream.arrived.ms", b"1764000000000"),
            ],
        }
    ]
