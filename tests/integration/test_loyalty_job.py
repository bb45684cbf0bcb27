"""The loyalty job on real protocols: balances, ledger and dead letters equal an independent check,
whatever is killed, stopped, rescaled or split on the way."""

from __future__ import annotations

import json
import os

import pytest

from tillstream.catalog import tables
from tillstream.clients import aws as clients

pytestmark = pytest.mark.integration
DIRTY = ("--duplicates", "0.01", "--malformed", "0.01", "--late", "0.05")


def test_a_hundred_thousand_transactions_with_duplicates_rubbish_and_late_ones(open_shop):
    shop = open_shop("hundred", "kafka")
    shop.submit("loyalty", parallelism=2)
    shop.feed(100_000, 5_000, *DIRTY, "--customers", "8000").done()
    shop.prove()


def test_the_archive_holds_every_valid_transaction_once(open_shop):
    shop = open_shop("archive", "kinesis")
    shop.submit("archive", parallelism=1)
    shop.feed(10_000, 1_000, *DIRTY).done()
    shop.prove("sent", 150, "--no-loyalty")

    # The same after its many files have become few, as they do once they are old.
    before = aged(shop, "archive", hours=3)
    said = shop.run("history", "compact", "archive", "--older-than", "2h")
    after = aged(shop, "archive", hours=0)
    assert "became" in said, said
    assert after < before / 2, said
    shop.prove("sent", 150, "--no-loyalty")
    assert "archive: nothing to do" in shop.run(
        "history", "compact", "archive", "--older-than", "2h"
    )
    assert f"{after:,}" in shop.run("history", "list", "archive")


def aged(shop, name: str, hours: float) -> int:
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


def test_a_taskmanager_killed_in_mid_traffic_changes_nothing(open_shop):
    shop = open_shop("tm-killed", "kinesis")
    shop.submit("loyalty", parallelism=2)
    feed = shop.feed(20_000, 800, *DIRTY)
    shop.wait_for_entries(4_000)
    shop.stack.kill("taskmanager-2")
    shop.stack.start_process("taskmanager-2")
    feed.done()
    shop.prove()


def test_a_jobmanager_killed_and_the_job_restored_from_its_last_checkpoint(open_shop):
    shop = open_shop("jm-killed", "kafka")
    shop.submit("loyalty", parallelism=2)
    feed = shop.feed(20_000, 800, *DIRTY)
    shop.wait_for_entries(4_000)
    shop.wait_for_checkpoints("loyalty")
    shop.stack.kill("jobmanager")
    shop.stack.start_process("jobmanager")
    shop.run("job", "restore", "loyalty", "--from", "latest-checkpoint")
    feed.done()
    shop.prove()


def test_stopped_with_a_savepoint_and_restored_with_another_parallelism(open_shop):
    shop = open_shop("rescaled", "kafka")
    shop.submit("loyalty", parallelism=1)
    feed = shop.feed(20_000, 800, *DIRTY)
    shop.wait_for_entries(4_000)
    shop.run("job", "stop", "loyalty", "--savepoint")
    shop.run("job", "restore", "loyalty", "--from", "latest-savepoint", "--parallelism", "2")
    feed.done()
    shop.prove()


def test_a_kinesis_shard_split_in_mid_traffic_loses_and_repeats_nothing(open_shop):
    shop = open_shop("split", "kinesis")
    shop.submit("loyalty", parallelism=2)
    feed = shop.feed(15_000, 600, *DIRTY)
    shop.wait_for_entries(3_000)
    kinesis = clients.kinesis(shop.conf())
    stream = shop.conf().source.kinesis.stream
    shard = kinesis.list_shards(StreamName=stream)["Shards"][0]
    low, high = (int(shard["HashKeyRange"][end]) for end in ("StartingHashKey", "EndingHashKey"))
    kinesis.split_shard(
        StreamName=stream,
        ShardToSplit=shard["ShardId"],
        NewStartingHashKey=str((low + high) // 2),
    )
    assert len(kinesis.list_shards(StreamName=stream)["Shards"]) > 4
    feed.done()
    # Parent and children are read side by side: the ledger's own order decides redemptions.
    shop.prove(order="ledger")


def test_what_is_missing_is_said_in_one_line_before_anything_starts(open_shop):
    shop = open_shop("missing", "kinesis")
    shop.overrides["source"]["kinesis"]["stream"] = "till-nowhere"
    shop.environment["TILLSTREAM_CONF"] = json.dumps(shop.overrides)
    said = shop.run("job", "submit", "loyalty", fails=True)
    assert "till-nowhere" in said
    assert "Traceback" not in said
