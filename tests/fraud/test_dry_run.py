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

from tests.support.sales import T0, canonical, sale
from tillstream import conf as settings
from tillstream.cli import main
from tillstream.clients import aws
from tillstream.domain.fraud.decision import Label
from tillstream.domain.receipt.canonical import Item, Paid, Receipt
from tillstream.fraud import dry_run

DAY_MS = 86_400_000


def sold_by(n: int, at_ms: int, cents: int, customer: int) -> dict:
    return sale(
        f"sale-{n:06d}", at_ms, cents, store=23, till=4, category="groceries",
        customer_id=f"C{customer:010d}",
    )  # fmt: skip


def receipt(n: int, at_ms: int, cents: int, customer: int) -> dict:
    """A row of the archive: what is a field's default is null there."""
    row = msgspec.json.decode(canonical(sold_by(n, at_ms, cents, customer), arrived_ms=at_ms + 100))
    for struct, rows in ((Receipt, [row]), (Item, row["lines"]), (Paid, row["tenders"])):
        for one in rows:
            one |= {name: one.get(name) for name in struct.__struct_fields__}
    return {"place": f"kafka:transactions/0/{n}", "taken_ms": at_ms + 200} | row


def archived(n: int, at_ms: int, cents: int, customer: int) -> dict:
    """A row of what 0.1.0 has archived, which has every column of contract v1."""
    sold = sold_by(n, at_ms, cents, customer)
    absent = dict.fromkeys(("card_token", "refers_to", "points_to_redeem"))
    return {"arrived_ms": at_ms + 100, "origin": f"kafka:tills/0/{n}"} | sold | absent


def written(row: dict, folder: Path) -> None:
    name = row["transaction_id"]
    day = row.get("ended_ms", row.get("event_time_ms", 0)) // DAY_MS
    place = folder / "archive" / f"date={day:05d}" / "region=x"
    place.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([row]), place / f"{name}.parquet")


@pytest.fixture(params=["of 0.1.0", "of now", "of both"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Forty days of one customer; on the last two days 10 and 4 times the usual."""
    sales = [(n, T0 + n * DAY_MS, 30_000 + n % 7 * 1_000, 1) for n in range(40)]
    sales += [(100, T0 + 40 * DAY_MS, 400_000, 1), (101, T0 + 41 * DAY_MS, 150_000, 1)]
    for sold in sales:
        old = request.param == "of 0.1.0" or (request.param == "of both" and sold[0] < 20)
        written((archived if old else receipt)(*sold), tmp_path)
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


def test_both_kinds_of_rows_give_the_same_sale():
    sold = (7, T0, 30_000, 1)
    tables = [pa.Table.from_pylist([make(*sold)]) for make in (archived, receipt)]
    old, new = (next(dry_run._in_order([table], {23: "Africa/Johannesburg"})) for table in tables)
    assert msgspec.to_builtins(old) | {"lines": 0} == msgspec.to_builtins(new) | {"lines": 0}
    assert (old.lines[0].paid, old.lines[0].category) == (new.lines[0].paid, new.lines[0].category)
    assert (new.arrived_ms, new.till, new.payment_method) == (T0 + 100, "4", "cash")


def test_a_day_of_both_kinds_is_in_the_order_of_its_sales():
    rows = [(archived if n % 3 else receipt)(n, T0 + n * 1_000, 900, n) for n in range(12)]
    tables = [pa.Table.from_pylist([row]) for row in reversed(rows)]
    found = dry_run._in_order(tables, {})
    assert [one.event_time_ms for one in found] == [T0 + n * 1_000 for n in range(12)]


def test_a_receipt_without_tenders_and_categories_is_taken():
    row = receipt(7, T0, 900, 1) | {"tenders": None, "customer": None, "till": "T-7"}
    row["lines"][0] |= {"category": None, "thousandths": None, "product": ""}
    (found,) = dry_run._in_order([pa.Table.from_pylist([row])], {})
    assert (found.payment_method, found.customer_id, found.till) == ("", None, "T-7")
    assert (found.lines[0].thousandths, found.lines[0].category) == (1_000, "")


@pytest.mark.parametrize(
    "columns", [{"day": 1}, {"ended_ms": T0}, receipt(1, T0, 9, 1) | {"total": "9"}]
)
def test_what_is_no_archive_is_said_in_one_line(columns, tmp_path):
    file = tmp_path / "other.parquet"
    pq.write_table(pa.Table.from_pylist([columns]), file)
    with pytest.raises(dry_run.DryRunError, match=r"not (the archive's columns|an archived)"):
        list(dry_run.archived(settings.load("local"), file, None, None, None))


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
                kind = "receipts" if day > 3 or n else "transactions"
                key = f"archive/{kind}/date=2026-01-0{day}/region=GP/{n}.parquet"
                client.put_object(Bucket=conf.s3.bucket, Key=key, Body=body.getvalue())
        monkeypatch.setattr(aws, "listening", lambda conf, service: client)
        found = list(dry_run._days(conf, *(datetime(2026, 1, day, tzinfo=UTC) for day in (2, 4))))
    assert [[table["day"][0].as_py() for table in one] for one in found] == [[2, 2], [3, 3], [4, 4]]
