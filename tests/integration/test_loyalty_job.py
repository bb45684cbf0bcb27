"""The loyalty job on real protocols: balances, ledger and dead letters equal an independent check,
whatever is killed, stopped, rescaled or split on the way."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import pytest

from tests.support.shop import Shop
from tests.support.stacks import kill
from tillstream.catalog import tables
from tillstream.chaos import hands
from tillstream.clients import aws as clients
from tillstream.cluster.local import LocalCluster

DIRTY = ("--duplicates", "0.01", "--malformed", "0.01", "--late", "0.05")
ARCHIVED = ("--older-than", "2h")


class Crashes(NamedTuple):
    """One job's life."""

    starts: list[dict[str, Any]]  # each submission, and where it went on from
    slots: dict[str, int]
    restarts: int
    runs: tuple[str, str]  # before the JobManager was killed, and after
    list_of_jobs: str
    restored: str  # what `job restore --all` said then
    proof: dict[str, Any]


@pytest.fixture(scope="module")
def crashes(open_story) -> Crashes:
    """Stopped and restored with another parallelism, then a TaskManager is killed, then the JobManager."""
    with open_story() as open_shop:
        shop = open_shop("crashes", "kafka")
        slots = {}
        shop.submit("loyalty", parallelism=1)
        slots["at first"] = used(shop)
        feed = shop.feed(100, *DIRTY)
        shop.wait_for_entries(500)
        shop.run("job", "stop", "loyalty", "--savepoint")
        shop.run("job", "restore", "loyalty", "--from", "latest-savepoint", "--parallelism", "2")
        slots["restored"] = used(shop)

        shop.wait_for_entries(1_500)
        kill(shop.stack, shop.taskmanager_of("loyalty"))
        shop.stack.up()
        shop.wait_for_checkpoints("loyalty", timeout_s=240)
        restarts = len(shop.rest().exceptions(shop.running("loyalty")))

        before = shop.running("loyalty")
        kill(shop.stack, "jobmanager")
        shop.wait_until_back("loyalty", before)
        runs = before, shop.running("loyalty")
        shop.wait_for_checkpoints("loyalty")
        said = shop.run("job", "list"), shop.run("job", "restore", "--all")
        feed.stop()
        mine = [
            one for one in LocalCluster(shop.stack).submissions.all() if one["name"] == "loyalty"
        ][-2:]
        return Crashes(mine, slots, restarts, runs, *said, shop.prove())


def used(shop: Shop) -> int:
    overview = shop.rest().overview()
    return overview["slots-total"] - overview["slots-available"]


def test_stopped_with_a_savepoint_and_restored_with_another_parallelism(crashes):
    assert crashes.slots == {"at first": 2, "restored": 3}  # one is of the front door
    assert "/savepoint-" in crashes.starts[1]["from"]
    assert crashes.proof["ok"]


def test_a_taskmanager_killed_in_mid_traffic_changes_nothing(crashes):
    assert crashes.restarts > 0
    assert crashes.proof["ok"]


def test_a_jobmanager_killed_in_mid_traffic_comes_back_and_its_job_goes_on_by_itself(crashes):
    before, after = crashes.runs
    assert before == after == crashes.starts[-1]["job_id"]
    assert crashes.list_of_jobs.count("RUNNING") == 2
    assert crashes.restored.startswith("no job was lost")
    assert crashes.proof["ok"]


class Split(NamedTuple):
    """One stream read by two jobs. ``files``: of the archive, before and after they became few."""

    shards: int
    proof: dict[str, Any]
    files: tuple[int, int]
    said: dict[str, str]
    proof_after: dict[str, Any]


@pytest.fixture(scope="module")
def split(open_story) -> Split:
    """A shard of the stream is split while intake reads it; intake is stopped, two are merged, and it is
    restored; then the archive's files age."""
    with open_story() as open_shop:
        shop = open_shop("split", "kinesis")
        shop.submit("loyalty")
        shop.submit("archive")
        feed = shop.feed(100, *DIRTY)
        shop.wait_for_entries(500)
        hands.split(shop.conf())
        stream = shop.conf().source.kinesis.stream
        shards = len(clients.kinesis(shop.conf()).list_shards(StreamName=stream)["Shards"])
        shop.wait_for_entries(1_500)
        shop.run("job", "stop", "intake", "--savepoint")
        hands.merge(shop.conf())
        shop.run("job", "restore", "intake")
        shop.wait_for_entries(2_500)
        feed.stop()
        # Children are read after their parents, so a customer's records are in the order of sending.
        proof = shop.prove("sent", 150, "--archive")

        said = {}
        before = aged(shop, "receipts", hours=3)
        said["first"] = shop.run("history", "compact", "receipts", *ARCHIVED)
        files = before, aged(shop, "receipts", hours=0)
        proof_after = shop.prove("sent", 150, "--archive")
        said["again"] = shop.run("history", "compact", "receipts", *ARCHIVED)
        said["list"] = shop.run("history", "list", "receipts")
        return Split(shards, proof, files, said, proof_after)


def aged(shop: Shop, name: str, hours: float) -> int:
    """Makes all files of a history but the newest so much older; returns how many there are."""
    conf = shop.conf()
    folder = (
        shop.stack.layout.data / "s3" / conf.s3.bucket / conf.prefix(tables.HISTORY_BY_ID[name])
    )
    files = [path for path in folder.rglob("*.parquet") if not path.name.startswith((".", "_"))]
    for path in sorted(files, key=lambda path: path.stat().st_mtime)[:-1]:
        past = path.stat().st_mtime - hours * 3600
        os.utime(path, (past, past))
    return len(files)


def test_a_kinesis_stream_resharded_in_mid_traffic_loses_and_repeats_nothing_and_keeps_its_order(
    split,
):
    assert split.shards > 4
    assert split.proof["ok"]


def test_the_archive_holds_every_valid_transaction_once(split):
    want, found = split.proof["totals"]["archived transactions"]
    assert want == found > 2_000


def test_the_archive_holds_the_same_after_its_many_files_have_become_few(split):
    before, after = split.files
    assert "became" in split.said["first"]
    assert after < before / 2, split.said["first"]
    assert (
        split.proof_after["totals"]["archived transactions"]
        == split.proof["totals"]["archived transactions"]
    )
    assert split.proof_after["ok"]
    assert "receipts: nothing to do" in split.said["again"]
    assert f"{after:,}" in split.said["list"]


@pytest.mark.long
def test_a_hundred_thousand_transactions_with_duplicates_rubbish_and_late_ones(open_shop):
    shop = open_shop("hundred", "kafka")
    shop.submit("loyalty", parallelism=2)
    shop.feed(5_000, *DIRTY, "--count", "100000", "--customers", "8000").done()
    shop.prove()


@pytest.mark.long
def test_a_taskmanager_killed_while_both_read_a_kinesis_stream_changes_nothing(open_shop):
    shop = open_shop("tm-killed", "kinesis")
    shop.submit("loyalty", parallelism=2)
    feed = shop.feed(800, *DIRTY, "--count", "20000")
    shop.wait_for_entries(4_000)
    kill(shop.stack, shop.taskmanager_of("loyalty"))
    shop.stack.up()
    feed.done()
    shop.prove()


def test_what_is_missing_is_said_in_one_line_before_anything_starts(open_shop):
    shop = open_shop("missing", "kinesis")
    shop.change(source={"kinesis": {"stream": "till-nowhere"}})
    said = shop.run("job", "submit", "intake", fails=True)
    assert "till-nowhere" in said
    assert "Traceback" not in said
