"""The Kinesis stand-in reshards as Kinesis does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.support.wait import wait_for
from tillstream.local.ports import any_free

STREAM = "tills"


@pytest.fixture(scope="module")
def kinesis() -> Iterator[Any]:
    port = any_free(set())
    command = [sys.executable, "-m", "tillstream.local.kinesis_server", "-p", str(port)]
    server = subprocess.Popen(command)
    try:
        client = boto3.client(
            "kinesis", endpoint_url=f"http://127.0.0.1:{port}", region_name="af-south-1",
            aws_access_key_id="x", aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip

        def answers() -> bool:
            try:
                return bool(client.list_streams())
            except Exception:
                return False

        wait_for(answers, 30, "the stand-in")
        yield client
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def stream(kinesis: Any) -> Iterator[Any]:
    kinesis.create_stream(StreamName=STREAM, ShardCount=2)
    yield kinesis
    kinesis.delete_stream(StreamName=STREAM)


def put(kinesis: Any, *keys: str) -> None:
    kinesis.put_records(
        StreamName=STREAM, Records=[{"Data": key.encode(), "PartitionKey": key} for key in keys]
    )


def shard(number: int) -> str:
    return f"shardId-{number:012d}"


def read(kinesis: Any, number: int) -> tuple[list[str], bool]:
    """The shard's records, and whether that is all it will ever have."""
    where = {"StreamName": STREAM, "ShardId": shard(number), "ShardIteratorType": "TRIM_HORIZON"}
    iterator, found = kinesis.get_shard_iterator(**where)["ShardIterator"], []
    while iterator:
        answer = kinesis.get_records(ShardIterator=iterator, Limit=2)
        iterator = answer.get("NextShardIterator")
        found += [record["Data"].decode() for record in answer["Records"]]
        if not answer["Records"]:
            break
    return found, not iterator


KEYS = [f"till-{n}" for n in range(20)]


def test_records_of_a_shard_that_is_split_stay_and_new_ones_go_to_its_children(stream):
    put(stream, *KEYS)
    before = [read(stream, n) for n in (0, 1)]
    assert sorted(before[0][0] + before[1][0]) == sorted(KEYS)
    assert [ended for _, ended in before] == [False, False]
    stream.split_shard(
        StreamName=STREAM, ShardToSplit=shard(0), NewStartingHashKey=str(2**126)
    )  # fmt: skip
    put(stream, *KEYS)
    assert read(stream, 0) == (before[0][0], True)
    children = [read(stream, n) for n in (2, 3)]
    assert sorted(children[0][0] + children[1][0]) == sorted(before[0][0])
    assert all(records and not ended for records, ended in children)


def test_records_of_shards_that_are_merged_stay_and_new_ones_go_to_their_child(stream):
    put(stream, *KEYS)
    before = [read(stream, n)[0] for n in (0, 1)]
    stream.merge_shards(
        StreamName=STREAM, ShardToMerge=shard(0), AdjacentShardToMerge=shard(1)
    )  # fmt: skip
    put(stream, *KEYS[:5])
    assert [read(stream, n) for n in (0, 1)] == [(records, True) for records in before]
    assert read(stream, 2) == (KEYS[:5], False)


def test_an_empty_shard_that_is_closed_has_an_end(stream):
    stream.merge_shards(
        StreamName=STREAM, ShardToMerge=shard(0), AdjacentShardToMerge=shard(1)
    )  # fmt: skip
    assert [read(stream, n) for n in (0, 1)] == [([], True), ([], True)]
