"""A savepoint's manifest: positions as the engine wrote them, and where it is kept."""

from __future__ import annotations

import struct

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from tillstream.cli.times import moment_ms, span_s
from tillstream.clients.storage import Disk, S3Folder, copy
from tillstream.cluster.manifest import (
    Manifest,
    consumer_positions,
    decode,
    encode,
    files_named,
    kafka_positions,
    kinesis_positions,
    merged,
    schema_versions,
)


def split(topic: str, partition: int, offset: int) -> bytes:
    name = topic.encode()
    return struct.pack(f">H{len(name)}siqq", len(name), name, partition, offset, -(2**63))


def test_kafka_positions_are_found_among_other_bytes():
    state = b"\x00junk" + split("till-transactions", 0, 1234) + b"\x07" * 9
    state += split("till-transactions", 3, 99) + split("stock", 0, 5) + b"tail"
    assert kafka_positions(state) == {
        "kafka:till-transactions": {"0": "1234", "3": "99"},
        "kafka:stock": {"0": "5"},
    }


def test_positions_of_the_consumer_before_ours_are_found_by_stream():
    # As the consumer's state had it: the stand-in numbers from 1, AWS gives 56 digits.
    state = (
        b"\x02\x01\x00'85070591730234615865843651857942052863\x01\x01\x00\x15shardId-000000000000\x00"
        b"\x020\x00\x020\x00\x0etill-xkinesisW\x01\xf2\xe7\xaa5\x01147\xb9\x01"
        b"\x02\x01\x00(170141183460469231731687303715884105727\x01\x01\x00\x15shardId-000000000001"
        b"\x00'85070591730234615865843651857942052864\x00\x020\x00\x0etill-xkinesisW\x01\xca\x8a\xab5"
        b"\x01" + b"4959" * 13 + b"123\xb4\x01"
    )
    assert consumer_positions(state, "till-xkinesis") == {
        "kinesis:till-xkinesis": {
            "shardId-000000000000": "1479",
            "shardId-000000000001": "4959" * 13 + "1234",
        }
    }
    assert consumer_positions(state, "another") == {}
    assert kinesis_positions(state, "till-xkinesis") == {}


def test_history_files_that_a_sink_may_still_have_to_show_are_named():
    key = "ledger/date=2026-11-24/region=limpopo/ledger-history-fef6-2.parquet"
    state = b"\x7fs3://tillstream/" + key.encode() + b"\x00\x00" + key.encode() + b"$\x00"
    assert files_named(state) == {("tillstream", key)}


@given(st.binary(max_size=300))
def test_arbitrary_bytes_hold_no_positions_and_do_no_harm(raw):
    kafka_positions(raw + struct.pack(">q", -(2**63)))
    kinesis_positions(raw, "till-transactions")
    consumer_positions(raw, "till-transactions")


def test_positions_of_several_files_are_one():
    assert merged([{"kafka:t": {"0": "1"}}, {"kafka:t": {"1": "2"}}]) == {
        "kafka:t": {"0": "1", "1": "2"}
    }


def test_a_manifest_is_read_back_as_written():
    one = Manifest("loyalty", "id", "s3://b/l/s", 1, 2, 3, "0.1", "1.20", 2, {"a": 1}, {})
    assert decode(encode(one)) == one
    with pytest.raises(ValueError, match="no manifest"):
        decode(b"{}")


def test_the_versions_of_this_releases_state_are_in_it():
    assert set(schema_versions("loyalty")) == {"loyalty_account"}
    assert schema_versions("no such job") == {}


@pytest.fixture(params=["disk", "s3"])
def storage(request, tmp_path):
    if request.param == "disk":
        yield Disk(tmp_path / "kept")
        return
    with mock_aws():
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        client = boto3.client("s3", "us-east-1", **keys)
        client.create_bucket(Bucket="bucket")
        yield S3Folder(client, "bucket", "savepoints/loyalty")


def test_both_storages_keep_list_copy_and_remove_alike(storage, tmp_path):
    assert storage.folders() == []
    for name in ("one/_metadata", "one/deep/er", "two/_metadata"):
        storage.write(name, name.encode())
    assert storage.folders() == ["one", "two"]
    assert {file.name: file.bytes for file in storage.files()}["one/deep/er"] == 11
    assert storage.read("one/_metadata") == b"one/_metadata"
    assert storage.read("one/nothing") is None
    assert copy(storage, "one", tmp_path / "copied") == 24
    assert (tmp_path / "copied" / "deep" / "er").read_bytes() == b"one/deep/er"
    storage.remove("one")
    assert storage.folders() == ["two"]


def test_times_as_people_write_them():
    assert [span_s(t) for t in ("90s", "15m", "1h", "2d")] == [90, 900, 3600, 172_800]
    with pytest.raises(ValueError, match="not a time span"):
        span_s("soon")
    assert moment_ms("2h", 10_000_000) == 2_800_000
    assert moment_ms("1970-01-01T00:01", 0) == 60_000
    assert moment_ms("1970-01-01T02:01+02:00", 0) == 60_000
    assert moment_ms("savepoint-abc", 0) is None
