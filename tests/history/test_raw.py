"""What a till sent is found by its place or by the transaction's id, and told once."""

from __future__ import annotations

import io

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto import mock_aws

from tillstream import conf
from tillstream.catalog.tables import ARCHIVE, RAW_RECORDS
from tillstream.clients.storage import S3Folder
from tillstream.history import raw

CONF = conf.load("local")
NOON_MS = 1_772_366_400_000  # 2026-03-01T12:00Z
PLACE = "kafka:tills/0/17"


@pytest.fixture
def bucket():
    with mock_aws():
        client = boto3.client("s3", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_bucket(Bucket="shop")
        yield S3Folder(client, "shop")


def put(bucket: S3Folder, history, name: str, rows: list[dict]) -> None:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    bucket.write(f"{CONF.prefix(history)}/date=2026-03-01/{name}.parquet", out.getvalue())


def record(number: int, transaction: str | None, place: str = PLACE) -> dict:
    return {
        "record_id": f"{place}#{number}", "origin": place, "arrived_ms": NOON_MS,
        "transaction_id": transaction, "raw": f"bytes {number}".encode(),
    }  # fmt: skip


def found(bucket: S3Folder, what: str) -> list[bytes]:
    return [one.raw for one in raw.find(CONF, bucket, what)]


@pytest.mark.parametrize("what", [PLACE, "t-1"])
def test_what_intake_wrote_again_after_a_crash_is_told_once(bucket, what):
    put(bucket, RAW_RECORDS, "a", [record(1, "t-1")])
    put(bucket, RAW_RECORDS, "b", [record(1, "t-1")])
    assert found(bucket, what) == [b"bytes 1"]


def test_of_records_that_share_a_place_a_transaction_has_its_own_and_documents_of_many(bucket):
    put(bucket, RAW_RECORDS, "a", [record(1, "t-1"), record(2, "t-2"), record(3, None)])
    put(bucket, ARCHIVE, "a", [{"transaction_id": "t-2", "origin": PLACE, "arrived_ms": NOON_MS}])
    assert found(bucket, "t-2") == [b"bytes 2", b"bytes 3"]
    assert found(bucket, PLACE) == [b"bytes 1", b"bytes 2", b"bytes 3"]
    assert found(bucket, "t-3") == []
