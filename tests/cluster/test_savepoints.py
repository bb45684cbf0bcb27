"""Which savepoints are there: told by where they lie, not by what their manifests say of that."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from tests.support.fake_cluster import FakeCluster
from tillstream import conf as settings
from tillstream.cli import main
from tillstream.cluster.local import LocalCluster
from tillstream.cluster.manifest import FILE, Manifest, decode, encode
from tillstream.cluster.protocol import JobError
from tillstream.cluster.savepoints import SavepointError, Savepoints
from tillstream.history.files import File
from tillstream.history.settle import Span
from tillstream.local.stack import Stack

NOW = 1_764_000_000_000
DAY_MS = 86_400_000


def savepoints(home: Path) -> Savepoints:
    return Savepoints(FakeCluster(home), settings.load("local"))


def left(home: Path, name: str, days_ago: int = 0) -> Path:
    """A savepoint of loyalty as an earlier run left it."""
    folder = home / "savepoints" / "loyalty" / name
    folder.mkdir(parents=True)
    (folder / "_metadata").write_bytes(b"")
    at_ms = NOW - days_ago * DAY_MS
    one = Manifest("loyalty", "job-1", folder.as_uri(), at_ms, at_ms, 1, "1", "1", 1, {}, {})
    (folder / FILE).write_bytes(encode(one))
    return folder


def test_pruning_a_copied_home_leaves_the_original_alone(tmp_path: Path):
    home, copy = tmp_path / "home", tmp_path / "copy"
    old = [left(home, f"savepoint-{days}", days) for days in (400, 300, 0)]
    shutil.copytree(home, copy)
    said: list[Manifest] = []
    assert savepoints(copy).prune("loyalty", NOW, False, said.append) == 2
    assert all((folder / "_metadata").exists() for folder in old)
    assert [one.name for one in (copy / "savepoints" / "loyalty").iterdir()] == ["savepoint-0"]
    assert all(one.location.startswith(f"file://{copy}/") for one in said)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"job": "loyalty"}'])
def test_a_savepoint_whose_manifest_is_damaged_is_still_listed(tmp_path: Path, content: bytes):
    folder = left(tmp_path, "savepoint-1")
    (folder / FILE).write_bytes(content)
    assert savepoints(tmp_path).kept("loyalty") == []
    assert savepoints(tmp_path).without_manifest("loyalty") == [folder.as_uri()]


def test_a_manifest_of_another_job_is_not_this_jobs(tmp_path: Path):
    folder = left(tmp_path, "savepoint-1")
    other = decode((folder / FILE).read_bytes())
    other.job = "fraud"
    (folder / FILE).write_bytes(encode(other))
    assert savepoints(tmp_path).kept() == []


def test_what_flink_did_not_leave_gets_no_manifest(tmp_path: Path):
    cluster = FakeCluster(tmp_path)
    cluster.submit("loyalty")
    found = Savepoints(cluster, settings.load("local"))
    taken = cluster.savepoint("loyalty")
    Path(taken.location.removeprefix("file://"), "_metadata").unlink()
    with pytest.raises(SavepointError, match="nothing is there"):
        found._describe(taken)


# -- what `latest` means -------------------------------------------------------------------------------


def stopped_into(cluster: LocalCluster, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "_metadata").write_bytes(b"")
    cluster.submissions.note("loyalty", "a", ended="stopped", savepoint=f"file:{folder}")


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    found = LocalCluster(Stack(tmp_path / "home"))
    found.layout.root.mkdir(parents=True)
    before = found.layout.savepoints / "loyalty" / "savepoint-1"
    before.mkdir(parents=True)
    (before / "_metadata").write_bytes(b"")
    os.utime(before / "_metadata", (1.7e9, 1.7e9))  # long before what a test leaves
    return found


def test_the_latest_is_what_the_last_stop_left_wherever_that_is(cluster, tmp_path: Path):
    folder = tmp_path / "sp dir" / "savepoint-2"
    stopped_into(cluster, folder)
    for word in ("latest", "latest-savepoint"):
        assert cluster.locate("loyalty", word) == f"file://{folder}"


def test_no_older_one_takes_its_place_when_it_is_gone(cluster, tmp_path: Path):
    folder = tmp_path / "elsewhere"
    stopped_into(cluster, folder)
    shutil.rmtree(folder)
    with pytest.raises(JobError, match=f"{folder} is no savepoint"):
        cluster.locate("loyalty", "latest")


def test_its_metadata_file_means_the_savepoint(cluster):
    before = cluster.layout.savepoints / "loyalty" / "savepoint-1"
    for said in (f"{before}/_metadata", f"{before}/", before.as_uri(), f"file:{before}"):
        assert cluster.locate("loyalty", said) == f"file://{before}"


def test_foreign_lines_among_the_submissions_do_no_harm(cluster):
    file = cluster.layout.root / "jobs.jsonl"
    file.write_bytes(b'42\nnull\n"x"\n[]\n{"from": null}\n\xff\xfe\n')
    cluster.submissions.note("sales", "b", parallelism=1, **{"from": None})
    assert cluster.submitted() == ["sales"]


@pytest.mark.parametrize(
    "command",
    [
        ("savepoint", "list", "loyality"),
        ("savepoint", "list", "../.."),
        ("savepoint", "prune", "loyality"),
        ("savepoint", "take", "loyality"),
        ("savepoint", "schedule", "loyality"),
        ("replay", "--job", "loyality", "--from", "2h"),
    ],
)
def test_a_job_that_does_not_exist_is_named_with_those_that_do(command, tmp_path, monkeypatch):
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    monkeypatch.setenv("TILLSTREAM_ENV", "local")
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert line.startswith(
        f"error: there is no job {command[-1] if command[0] != 'replay' else 'loyality'}"
    )
    assert "loyalty" in line


def test_a_file_of_before_the_savepoint_is_never_dated_after_its_history(tmp_path, monkeypatch):
    """S3 tells the time in whole seconds; a file of the second in which the savepoint was complete must
    not look as if a replay wrote it again."""
    finished = File("ledger/x.parquet", NOW + 900)
    monkeypatch.setattr(
        "tillstream.cluster.savepoints.open_bucket", lambda _: SimpleNamespace(now_ms=lambda: NOW)
    )
    cluster = FakeCluster(tmp_path)
    cluster.submit("loyalty")
    found = Savepoints(cluster, settings.load("local")).take("loyalty")
    span = Span(NOW, NOW + 60_000, found.history_ms)
    assert not span.are_over(finished)
    assert span.are_over(File("ledger/y.parquet", NOW + 1_000))
    assert not span.are_over(File("ledger/z.parquet", NOW + 60_000))
