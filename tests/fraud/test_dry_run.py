"""A dry run over archived transactions: what each set holds, against labels, and what differs."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import boto3
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from moto import mock_aws

from tests.support.sales import T0, sale
from tillstream import conf as settings
from tillstream.cli import main
from tillstream.clients import aws
from tillstream.domain.fraud.decision import Label
from tillstream.fraud import dry_run

DAY_MS = 86_400_000


def archived(n: int, at_ms: int, cents: int, customer: int) -> dict:
    """A row of the archive, which has every column."""
    sold = sale(
        f"sale-{n:06d}", at_ms, cents, store=23, till=4, category="groceries",
        customer_id=f"C{customer:010d}",
    )  # fmt: skip
    absent = dict.fromkeys(("card_token", "refers_to", "points_to_redeem"))
    return {"arrived_ms": at_ms + 100, "origin": f"kafka:tills/0/{n}"} | sold | absent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty days of one customer; on the last two days 10 and 4 times the usual."""
    sales = [archived(n, T0 + n * DAY_MS, 30_000 + n % 7 * 1_000, 1) for n in range(40)]
    sales += [
        archived(100, T0 + 40 * DAY_MS, 400_000, 1),
        archived(101, T0 + 41 * DAY_MS, 150_000, 1),
    ]
    for sold in sales:
        day = tmp_path / "archive" / f"date={sold['event_time_ms'] // DAY_MS:05d}" / "region=x"
        day.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([sold]), day / "part.parquet")
    label = Label("sale-000100", True, T0 + 40 * DAY_MS, T0 + 47 * DAY_MS, 23, 4, "C0000000001")
    (tmp_path / "labels.jsonl").write_bytes(msgspec.json.encode(label) + b"\n")
    for name, threshold in (("new", 8), ("old", 3)):
        rule = {"code": "large", "signal": "amount.ratio", "threshold": threshold, "weight": 90}
        rules = {"schema": 1, "version": name, "review_at": 50, "hold_at": 80, "rules": [rule]}
        (tmp_path / f"{name}.json").write_text(json.dumps(rules))
    return tmp_path


def run(folder: Path, *more: str) -> dict:
    done = CliRunner().invoke(
        main,
        ["rules", "dry-run", str(folder / "new.json"), "--against", str(folder / "old.json"),
         "--data", str(folder / "archive"), "--labels", str(folder / "labels.jsonl"), "--json",
         *more],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout[done.stdout.index("{") :])


def test_holds_precision_recall_differences_and_cost_are_told(folder):
    told = run(folder)
    assert (told["transactions"], told["labelled_frauds"]) == (42, 1)
    assert (told["new"]["holds"], told["live"]["holds"]) == (1, 2)
    assert (told["new"]["precision_holds"], told["new"]["recall_holds"]) == (1.0, 1.0)
    assert told["live"]["precision_holds"] == 0.5
    assert told["held_only_by_live"] == ["sale-000101"]
    assert told["held_only_by_new"] == []
    assert told["new"]["microseconds_a_sale"] > 0


def test_a_limit_ends_the_run(folder):
    assert run(folder, "--limit", "10")["transactions"] == 10


def test_an_empty_archive_is_said_in_one_line(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = CliRunner().invoke(
        main, ["rules", "dry-run", str(folder / "new.json"), "--against", "packaged",
               "--data", str(empty), "--labels", str(folder / "labels.jsonl")],
    )  # fmt: skip
    assert done.exit_code == 1
    assert "no archived transactions" in done.output


def test_of_the_archive_on_s3_only_the_days_asked_for_are_read(monkeypatch):
    conf = settings.load("local")
    with mock_aws():
        client = boto3.client("s3", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_bucket(Bucket=conf.s3.bucket)
        for day in range(1, 6):
            for n in range(2):
                body = io.BytesIO()
                pq.write_table(pa.table({"day": [day]}), body)
                key = f"archive/transactions/date=2026-01-0{day}/region=GP/{n}.parquet"
                client.put_object(Bucket=conf.s3.bucket, Key=key, Body=body.getvalue())
        monkeypatch.setattr(aws, "listening", lambda conf, service: client)
        found = list(dry_run._days(conf, *(datetime(2026, 1, day, tzinfo=UTC) for day in (2, 4))))
    assert [[table["day"][0].as_py() for table in one] for one in found] == [[2, 2], [3, 3], [4, 4]]
