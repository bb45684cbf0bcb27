"""Small history files become large ones: every row once, whatever breaks, and nothing a restore needs."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.support.fake_cluster import FakeCluster
from tillstream import conf
from tillstream.cli import main
from tillstream.clients import parquet
from tillstream.clients.storage import S3Folder
from tillstream.cluster import manifest
from tillstream.cluster.savepoints import Savepoints
from tillstream.history import commands, compact
from tillstream.history.compact import CompactError, Compactor
from tillstream.history.files import CLOCKS_MS, File, finished
from tillstream.history.lease import Lease

BUCKET, PREFIX = "tillstream", "ledger/loyalty"
DAY = f"{PREFIX}/date=2026-01-05"
LATE = 10**15  # all of the tests' files are older


class Broken(Exception):
    """The machine goes down."""


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture(autouse=True)
def newest_is_not_left_alone(monkeypatch):
    """The stand-in dates all files now; one test puts the margin back."""
    monkeypatch.setattr(compact, "CLOCKS_MS", -CLOCKS_MS)


def put(client, key: str, ids: list[int], **more: list) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"entry_id": ids, **more}), out)
    client.put_object(Bucket=BUCKET, Key=key, Body=out.getvalue())


def files(client) -> list[File]:
    return finished(S3Folder(client, BUCKET), PREFIX, 0)


def rows(client) -> Counter:
    found: Counter = Counter()
    for file in files(client):
        body = client.get_object(Bucket=BUCKET, Key=file.key)["Body"].read()
        found.update(parquet.table(body)["entry_id"].to_pylist())
    return found


def lease(client) -> Lease:
    return Lease(S3Folder(client, BUCKET), PREFIX, "test")


def run(client, target: int = 10**6):
    with lease(client) as mine:
        made = Compactor(mine)
        ended = made.finish()
        return ended, made.compact(made.plan(LATE, target), lambda _: None)


def test_files_of_a_folder_become_one_and_folders_stay_apart(s3):
    for n in range(5):
        put(s3, f"{DAY}/region=GP/part-{n}.parquet", [n, 10 + n])
        put(s3, f"{DAY}/region=WC/part-{n}.parquet", [20 + n])
    put(s3, f"{DAY}/region=EC/part-0.parquet", [99])
    before, sizes = rows(s3), sum(file.bytes for file in files(s3))
    ended, done = run(s3)
    assert (ended, done.files, done.into) == (0, 10, 2)
    assert rows(s3) == before
    assert sizes > sum(file.bytes for file in files(s3))
    names = {file.key.rpartition("/")[0]: file.key for file in files(s3)}
    assert len(names) == len(files(s3)) == 3
    assert names[f"{DAY}/region=EC"].endswith("part-0.parquet")  # alone: left as it is
    assert run(s3) == (0, (0, 0, 0))


def test_a_compacted_file_is_as_old_as_the_youngest_in_it(s3):
    """So a replay that reads what is younger than its savepoint does not open it."""
    put(s3, f"{DAY}/a.parquet", [1])
    put(s3, f"{DAY}/b.parquet", [2])
    youngest = files(s3)[-1].finished_ms
    run(s3)
    (only,) = files(s3)
    assert only.finished_ms == youngest
    assert finished(S3Folder(s3, BUCKET), PREFIX, youngest + 1) == []


def test_large_files_stay_and_targets_are_filled_and_not_passed(s3):
    put(s3, f"{DAY}/large.parquet", list(range(20_000)))
    large = files(s3)[0].bytes
    for n in range(40):
        put(s3, f"{DAY}/small-{n:02}.parquet", [n])
    small = max(file.bytes for file in files(s3) if "small" in file.key)
    groups = Compactor(lease(s3)).plan(LATE, 10 * small)
    assert large > 5 * small
    assert f"{DAY}/large.parquet" not in {file.key for group in groups for file in group.files}
    assert [len(group.files) for group in groups] == [10, 10, 10, 10]
    assert all(group.bytes <= 10 * small for group in groups)


def test_what_a_savepoint_may_name_is_left_alone(s3, monkeypatch):
    put(s3, f"{DAY}/a.parquet", [1])
    put(s3, f"{DAY}/b.parquet", [2])
    made = Compactor(lease(s3))
    oldest = files(s3)[0].finished_ms
    assert made.plan(oldest, 10**6) == []
    monkeypatch.setattr(compact, "CLOCKS_MS", CLOCKS_MS)
    assert made.plan(LATE, 10**6) == []  # and the newest, whatever was asked for


def test_columns_that_a_release_added_do_not_mix(s3):
    for n in range(2):
        put(s3, f"{DAY}/old-{n}.parquet", [n])
        put(s3, f"{DAY}/new-{n}.parquet", [10 + n], reason=["x"])
    put(s3, f"{DAY}/odd.parquet", [20], reason=[1])
    _, done = run(s3)
    assert (done.files, done.into) == (4, 2)
    assert rows(s3) == Counter([0, 1, 10, 11, 20])
    assert run(s3)[1] == (0, 0, 0)


@pytest.mark.parametrize("step", ["write", "delete"])
@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_breaks_off_loses_nothing_and_the_next_one_ends_it(s3, step, nth, after):
    for n in range(4):
        put(s3, f"{DAY}/part-{n}.parquet", [n])
    before = rows(s3)
    bucket = S3Folder(s3, BUCKET)
    mine = Lease(bucket, PREFIX, "test")
    real, calls = getattr(bucket, step), 0

    def breaks(*args):
        nonlocal calls
        calls += 1
        if calls == nth and not after:
            raise Broken
        real(*args)
        if calls == nth:
            raise Broken

    setattr(bucket, step, breaks)
    with mine:
        broken = Compactor(mine)
        groups = broken.plan(LATE, 10**6)
        with pytest.raises(Broken):
            broken.compact(groups, lambda _: None)
    assert set(rows(s3)) == set(before)  # twice perhaps, but never too few
    run(s3)
    assert rows(s3) == before
    assert len(files(s3)) == 1
    assert run(s3)[0] == 0


def test_a_file_that_arrives_short_deletes_nothing(s3, monkeypatch):
    put(s3, f"{DAY}/a.parquet", [1])
    put(s3, f"{DAY}/b.parquet", [2])
    before, real = rows(s3), s3.put_object

    def short(Key, Body, **more):
        return real(Key=Key, Body=Body[:-1] if Key.endswith(".parquet") else Body, **more)

    with monkeypatch.context() as patched:
        patched.setattr(s3, "put_object", short)
        with pytest.raises(CompactError, match="bytes after"):
            run(s3)
    keys = {file.key for file in files(s3)}
    assert {f"{DAY}/a.parquet", f"{DAY}/b.parquet"} <= keys
    run(s3)
    assert rows(s3) == before


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=50), min_size=1, max_size=12),
       st.integers(1, 5_000))  # fmt: skip
def test_every_row_is_there_as_often_as_before(s3, contents, target):
    for file in files(s3):
        s3.delete_object(Bucket=BUCKET, Key=file.key)
    for n, ids in enumerate(contents):
        put(s3, f"{DAY}/part-{n}.parquet", ids)
    before, count = rows(s3), len(files(s3))
    run(s3, target)
    assert rows(s3) == before
    assert len(files(s3)) <= count


# -- what is newest, and what a savepoint needs --------------------------------------------------------

HOUR_MS = 3_600_000
RUN = "0b5d2c1e-6f4a-4a55-9d0c-3b1f7a8e9c21"


def planned(monkeypatch, *found: tuple[str, int]) -> set[str]:
    """Names of the files that would be merged, of those finished at these hours."""
    monkeypatch.setattr(compact, "CLOCKS_MS", CLOCKS_MS)
    dated = [File(f"{DAY}/{name}", hour * HOUR_MS, 1) for name, hour in found]
    monkeypatch.setattr(compact, "finished", lambda *_: sorted(dated, key=lambda f: f.finished_ms))
    groups = Compactor(lease(None)).plan(LATE, 10**6)
    return {file.key.rpartition("/")[2] for group in groups for file in group.files}


def test_what_one_job_writes_does_not_make_another_jobs_newest_old(monkeypatch):
    """All jobs write dead letters to one prefix. A job that is down is restored from a checkpoint that
    names its own newest files, however long ago."""
    down = [(f"loyalty-dead-letter-history-{RUN}-{n}.parquet", n) for n in range(3)]
    runs = [(f"archive-dead-letter-history-{RUN}-{n}.parquet", n) for n in range(100)]
    found = planned(monkeypatch, *down, *runs)
    assert down[-1][0] not in found
    assert runs[-1][0] not in found
    assert {name for name, _ in (*down[:-1], *runs[:-1])} == found


def test_what_a_replay_or_a_compaction_wrote_later_does_not_make_a_jobs_newest_old(monkeypatch):
    mine = [(f"loyalty-ledger-history-{RUN}-{n}.parquet", n) for n in range(3)]
    made = [(mine[0][0].replace(".parquet", "-kept-20260105T000000Z.parquet"), 50),
            ("compacted-180000000-0123456789ab.parquet", 50)]  # fmt: skip
    assert planned(monkeypatch, *mine, *made) == {name for name, _ in (*mine[:-1], *made)}


def savepoint(home: Path, name: str, state: bytes, described: bytes | None) -> Path:
    folder = home / "savepoints" / "loyalty" / name
    folder.mkdir(parents=True)
    (folder / "_metadata").write_bytes(state)
    if described is not None:
        (folder / manifest.FILE).write_bytes(described)
    return folder


@pytest.fixture
def compacted(s3, tmp_path, monkeypatch) -> Callable[[], Result]:
    """``tillstream history compact ledger`` over three small files."""
    for n in range(3):
        put(s3, f"{DAY}/part-{n}.parquet", [n])
    kept = Savepoints(FakeCluster(tmp_path), conf.load("local"))
    bucket = S3Folder(s3, BUCKET)
    monkeypatch.setattr(commands, "open_savepoints", lambda: kept)
    monkeypatch.setattr(commands, "open_bucket", lambda _: bucket)
    monkeypatch.setattr(bucket, "now_ms", lambda: LATE)
    arguments = ["history", "compact", "ledger", "--older-than", "1h"]
    return lambda: CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("damaged", [b"", b"{", b'{"job": "loyalty"}'])
def test_while_a_manifest_cannot_be_read_nothing_is_deleted(s3, tmp_path, compacted, damaged):
    folder = savepoint(tmp_path, "savepoint-1", b"", damaged)
    before = files(s3)
    done = compacted()
    assert done.exit_code == 1
    assert str(folder) in done.output
    assert "delete that folder" in done.output
    assert files(s3) == before
    (folder / "_metadata").unlink()  # nothing that could be restored
    assert compacted().exit_code == 0
    assert len(files(s3)) == 1


def test_files_that_a_savepoint_without_a_manifest_names_are_left_alone(s3, tmp_path, compacted):
    """`job stop` and Flink's own client leave such savepoints."""
    named = f"{DAY}/part-1.parquet"
    savepoint(tmp_path, "savepoint-1", f"\x00s3://{BUCKET}/{named}\x00".encode(), None)
    before = rows(s3)
    assert compacted().exit_code == 0
    assert named in {file.key for file in files(s3)}
    assert len(files(s3)) == 2
    assert rows(s3) == before
