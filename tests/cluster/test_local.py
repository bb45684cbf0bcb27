"""What the local cluster remembers: the parallelism a job had, and which jobs were lost with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.fake_cluster import FakeCluster
from tillstream.cluster import job_commands
from tillstream.cluster.local import LocalCluster
from tillstream.cluster.manifest import FILE, Manifest, encode
from tillstream.cluster.protocol import JobError, NotReady
from tillstream.local.stack import Stack

RUN = "0a1b2c" + "0" * 26
OTHER = "ffffff" + "0" * 26


class Rest:
    """The JobManager: ``known`` is run -> (name, state)."""

    def __init__(self, **known: tuple[str, str]):
        self.known = known

    def jobs(self):
        return [
            {"jid": run, "name": name, "state": state, "start-time": n}
            for n, (run, (name, state)) in enumerate(self.known.items())
        ]


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    class Local(LocalCluster):
        flink = Rest()

    made = Local(Stack(tmp_path))
    made.layout.root.mkdir(parents=True)
    return made


def submitted(cluster: LocalCluster, name: str, run: str, **more: Any) -> None:
    cluster.submissions.note(name, run, **{"from": None, "parallelism": 1} | more)


def test_a_manifest_says_which_parallelism_its_savepoint_had(cluster: LocalCluster, tmp_path: Path):
    folder = tmp_path / "savepoint-0a1b2c-4711"
    folder.mkdir()
    one = Manifest("loyalty", RUN, folder.as_uri(), 1, 1, 1, "1", "1", 3, {}, {})
    (folder / FILE).write_bytes(encode(one))
    submitted(cluster, "loyalty", RUN, parallelism=1)
    assert cluster._parallelism_of(folder.as_uri()) == 3


def test_without_a_manifest_its_submission_does(cluster: LocalCluster):
    submitted(cluster, "loyalty", RUN, parallelism=1)
    submitted(cluster, "loyalty", OTHER, parallelism=4)
    assert cluster._parallelism_of(f"file:///c/{RUN}/chk-7") == 1
    assert cluster._parallelism_of("file:/s/loyalty/savepoint-0a1b2c-4711") == 1
    assert cluster._parallelism_of("file:///s/loyalty/savepoint-ffffff-4711/") == 4


def test_nothing_says_it_of_a_savepoint_from_elsewhere_or_of_an_old_release(cluster: LocalCluster):
    cluster.submissions.note("loyalty", RUN, **{"from": None})  # as earlier releases noted it
    assert cluster._parallelism_of(f"file:///c/{RUN}/chk-7") is None
    assert cluster._parallelism_of("file:///elsewhere/one") is None
    assert cluster._parallelism_of("hdfs://elsewhere/one") is None


def test_lost_is_what_nobody_ended_and_the_cluster_knows_no_more(cluster: LocalCluster):
    for name, run in (("loyalty", "a"), ("archive", "b"), ("sales", "c"), ("fraud", "d")):
        submitted(cluster, name, run)
    submitted(cluster, "shortage", "e")
    submitted(cluster, "shortage", "e2")
    cluster.submissions.note("archive", "b", ended="stopped")
    cluster.flink.known = {"c": ("sales", "FAILED"), "d2": ("fraud", "RUNNING")}
    assert cluster.lost() == ["loyalty", "shortage"]
    assert cluster.submitted() == ["archive", "fraud", "loyalty", "sales", "shortage"]
    assert [entry["job_id"] for entry in cluster.submissions.all()] == [
        "a",
        "b",
        "c",
        "d",
        "e",
        "e2",
    ]


def test_what_0_1_0_submitted_is_not_lost_for_it_did_not_note_what_ended(cluster: LocalCluster):
    cluster.submissions.note("loyalty", "a", **{"from": None})
    assert cluster.submitted() == ["loyalty"]
    assert cluster.lost() == []


def test_what_ended_by_itself_is_noted_when_it_is_seen(cluster: LocalCluster):
    submitted(cluster, "counts", "a", parallelism=1)
    submitted(cluster, "loyalty", "b", parallelism=1)
    cluster.flink.known = {"a": ("counts", "FINISHED"), "b": ("loyalty", "RUNNING")}
    cluster.runs()
    cluster.runs()
    cluster.flink.known = {}  # a new JobManager
    assert cluster.lost() == ["loyalty"]
    assert len(cluster.submissions._lines()) == 3


def test_the_newest_savepoint_is_found_wherever_a_release_has_put_it(tmp_path: Path):
    cluster = LocalCluster(Stack(tmp_path / "home"), (tmp_path / "elsewhere").as_uri())
    scheduled = tmp_path / "elsewhere" / "sales" / "savepoint-1" / "_metadata"
    stopped = cluster.layout.savepoints / "sales" / "savepoint-2" / "_metadata"
    for age, file in enumerate((scheduled, stopped)):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"")
        os.utime(file, (1_764_000_000 + age, 1_764_000_000 + age))
    assert cluster.locate("sales", "latest") == stopped.parent.as_uri()


def test_a_line_cut_short_by_a_full_disk_hides_no_other(cluster: LocalCluster):
    submitted(cluster, "loyalty", "a")
    with (cluster.layout.root / "jobs.jsonl").open("a") as file:
        file.write("\n" + json.dumps({"name": "archive"})[:9])
    submitted(cluster, "sales", "c")
    assert cluster.submitted() == ["loyalty", "sales"]


# -- submit --all, restore --all --------------------------------------------------------------------------


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    made = FakeCluster(tmp_path)
    monkeypatch.setattr(job_commands, "_open", lambda: made)
    return made


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(job_commands.job, arguments)
    return done.exit_code, done.output


def test_all_jobs_are_submitted_but_those_that_run(fake: FakeCluster):
    fake.submit("archive", 1)
    code, said = run("submit", "--all", "--parallelism", "1")
    assert code == 0, said
    assert "archive runs already" in said
    others = {"fraud", "intake", "inventory", "loyalty", "promotions", "sales", "shortage"}
    assert {one["name"] for one in fake.submitted_as[1:]} == others
    for name in others:
        assert f"{name}: runs" in said


def test_one_that_fails_does_not_keep_the_others_back_but_is_told(
    fake: FakeCluster, monkeypatch: pytest.MonkeyPatch
):
    real = fake.submit

    def submit(name, *args, **options):
        if name == "fraud":
            raise NotReady(["no DynamoDB table fraud-cases: create it"])
        if name == "loyalty":
            raise JobError("job loyalty failed: no such thing")
        return real(name, *args, **options)

    monkeypatch.setattr(fake, "submit", submit)
    code, said = run("submit", "--all")
    assert code == 1
    assert "fraud: not submitted: no DynamoDB table fraud-cases: create it" in said
    assert "loyalty: not submitted: job loyalty failed: no such thing" in said
    assert "shortage: runs" in said


def test_what_ran_when_the_jobmanager_was_lost_comes_back_as_it_was(fake: FakeCluster):
    for name, parallelism in (("loyalty", 1), ("archive", 2), ("sales", 1), ("fraud", 1)):
        job_id = fake.submit(name, parallelism)
        fake.left[job_id] = [f"file:///c/{job_id}/chk-3"]
    fake.stop("sales")
    fake.lose()
    fake.submit("fraud", 1)
    code, said = run("restore", "--all")
    assert code == 0, said
    assert [(one["name"], one["p"], one["from"]) for one in fake.submitted_as[-2:]] == [
        ("archive", 2, "file:///c/job-2/chk-3"),
        ("loyalty", 1, "file:///c/job-1/chk-3"),
    ]
    assert run("restore", "--all")[1].startswith("no job was lost")


@pytest.mark.parametrize("command", ["submit", "restore"])
def test_either_a_name_or_all(fake: FakeCluster, command: str):
    for arguments in ((command,), (command, "loyalty", "--all")):
        code, said = run(*arguments)
        assert (code, "either NAME or --all" in said) == (2, True)
    assert run("restore", "--all", "--from", "/a/savepoint")[0] == 2


def test_a_job_that_sums_goes_on_from_its_last_state_alone(cluster: LocalCluster, tmp_path: Path):
    def left(name: str, at_s: int) -> Path:
        folder = cluster.layout.savepoints / name
        folder.mkdir(parents=True)
        (folder / "_metadata").write_bytes(b"")
        os.utime(folder / "_metadata", (at_s, at_s))
        return folder

    old = left("sales/savepoint-0a1b2c-1", 1)
    left("sales/savepoint-0a1b2c-2", 2)
    other = left("loyalty/savepoint-0a1b2c-1", 1)
    left("loyalty/savepoint-0a1b2c-2", 2)
    for start in (str(old), old.as_uri()):
        with pytest.raises(
            NotReady, match=r"adds that up again.*savepoint-0a1b2c-2; --counted-again"
        ):
            cluster.submit("sales", start_from=start)

    def goes_on(name: str, **how: Any) -> None:
        with pytest.raises(AttributeError, match="overview"):  # it came so far as to ask for slots
            cluster.submit(name, parallelism=1, **how)

    goes_on("sales", start_from="latest")
    goes_on("sales", start_from=str(old), counted_again=True)
    goes_on("loyalty", start_from=str(other))
