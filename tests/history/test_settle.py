"""`history settle`: rows that a job has written twice, since it went back to an older state."""

from __future__ import annotations

import io
import time

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from moto import mock_aws

from tillstream.cli.times import shown
from tillstream.clients import parquet
from tillstream.clients.storage import S3Folder
from tillstream.history.commands import history

ROOT = "archive/receipts/date=2026-11-30"


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    monkeypatch.setenv("TILLSTREAM_ENV", "local")
    with mock_aws():
        client = boto3.client("s3", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_bucket(Bucket="tillstream")
        monkeypatch.setattr("tillstream.clients.aws.listening", lambda conf, service: client)
        yield S3Folder(client, "tillstream")


def put(bucket: S3Folder, name: str, ids: list[str]) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"transaction_id": ids}), out)
    bucket.write(f"{ROOT}/{name}.parquet", out.getvalue())


def ids(bucket: S3Folder) -> list[str]:
    """That readers see."""
    found: list[str] = []
    for file in bucket.files():
        if "/_" not in file.name and file.name.startswith(ROOT):
            found += parquet.table(bucket.get(file.name))["transaction_id"].to_pylist()
    return sorted(found)


def test_rows_written_again_are_there_once_and_a_second_run_changes_nothing(bucket, monkeypatch):
    put(bucket, "before", ["a", "b", "c"])
    put(bucket, "after", ["d", "e"])
    time.sleep(1.1)  # S3 dates by the second
    until = int(time.time() * 1000)
    time.sleep(1.1)
    put(bucket, "again", ["c", "d", "e", "f"])
    command = ["settle", "archive", "--since", "2026-01-01", "--until", f"{shown(until)}"]
    first = CliRunner().invoke(history, command)
    assert "archive: 3 rows in 2 files were there twice" in first.output
    assert ids(bucket) == ["a", "b", "c", "d", "e", "f"]
    second = CliRunner().invoke(history, command)
    assert "archive: 0 rows in 0 files" in second.output
    assert ids(bucket) == ["a", "b", "c", "d", "e", "f"]


def test_of_sums_nobody_can_tell(bucket):
    command = ["settle", "sales", "--since", "2h", "--until", "1h"]
    assert "which are there twice nobody can tell" in CliRunner().invoke(history, command).output
    command = ["settle", "archive", "--since", "1h", "--until", "2h"]
    assert "--since must be before --until" in CliRunner().invoke(history, command).output
