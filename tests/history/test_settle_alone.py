"""A replay sets rows aside while nobody else is at the files, and after what a compaction left is ended."""

from __future__ import annotations

import io
from collections import Counter

import boto3
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto import mock_aws

from tillstream.clients import parquet
from tillstream.clients.storage import S3Folder, visible
from tillstream.conf import load
from tillstream.history import lease as leases
from tillstream.history import settle as history
from tillstream.history.compact import NOTES, Note
from tillstream.history.lease import FILE, Held, Taken
from tillstream.history.settle import Span

CONF = load("local")
PREFIX = "ledger/loyalty"
DAY = f"{PREFIX}/date=d1"
TARGET = f"{DAY}/compacted-50-0123456789ab.parquet"


@pytest.fixture
def bucket(monkeypatch):
    """Files of before the replay, and one of it, which has row c again."""
    monkeypatch.setattr(leases, "LOOK_S", 0.01)
    monkeypatch.setattr(leases, "GONE_S", 0.05)
    with mock_aws():
        client = boto3.client("s3", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_bucket(Bucket=CONF.s3.bucket)
        monkeypatch.setattr("tillstream.clients.aws.listening", lambda conf, service: client)
        folder, made = S3Folder(client, CONF.s3.bucket), history.finished
        for name, ids in {"a": "ab", "b": "cd", "new-c": "c"}.items():
            put(folder, f"{DAY}/{name}.parquet", ids)

        def dated(*_):
            return [f._replace(finished_ms=100 if "new" in f.key else 50)
                    for f in made(folder, PREFIX, 0)]  # fmt: skip

        monkeypatch.setattr(history, "finished", dated)
        yield folder


def put(folder: S3Folder, name: str, ids: str) -> bytes:
    out = io.BytesIO()
    table = pa.table({"customer_id": ["C1"] * len(ids), "entry_id": list(ids)})
    pq.write_table(table, out)
    folder.write(name, out.getvalue())
    return out.getvalue()


def rows(folder: S3Folder) -> Counter[str]:
    found: Counter[str] = Counter()
    for file in visible(folder.files(f"{PREFIX}/"), PREFIX):
        found.update(parquet.table(folder.get(file.name))["entry_id"].to_pylist())
    return found


def settled() -> tuple[int, int]:
    return history.settle(CONF, "loyalty", Span(40, 100), "r1")


def test_what_a_compaction_left_is_ended_first_else_the_rest_of_a_file_was_there_twice(bucket):
    body = put(bucket, TARGET, "abcd")
    note = Note(TARGET, [f"{DAY}/a.parquet", f"{DAY}/b.parquet"], len(body))
    bucket.write(f"{PREFIX}/{NOTES}/50-0123456789ab.json", msgspec.json.encode(note))
    assert settled() == (1, 1)
    assert rows(bucket) == Counter("abcd")


def test_a_compaction_that_has_crashed_is_waited_for_and_replaced(bucket):
    bucket.write(f"{PREFIX}/{FILE}", msgspec.json.encode(Held("host:1:x", "history compact", 7)))
    assert settled() == (1, 1)
    assert rows(bucket) == Counter("abcd")


def test_who_loses_the_files_meanwhile_sets_nothing_aside(bucket, monkeypatch):
    real, before = bucket.__class__.swap, rows(bucket)

    def swap(self, name, data, tag):
        if b'"beat":2' in data:  # the one after it was taken
            bucket.write(name, msgspec.json.encode(Held("host:2:y", "history compact", 9)))
        return real(self, name, data, tag)

    monkeypatch.setattr(S3Folder, "swap", swap)
    with pytest.raises(Taken, match="host:2:y"):
        settled()
    assert rows(bucket) == before
