"""What ``tillstream shortages`` shows, from a table in memory."""

from __future__ import annotations

import json

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws

from tillstream import conf as settings
from tillstream.cli import main
from tillstream.clients import aws as clients

T = 1_764_000_000_000  # 2025-11-24 16:00 UTC, 18:00 in the stores
LINES = [
    {
        "place": "store:45", "product": "2000000000015", "status": "running_out", "stock": 40,
        "run_out_ms": T, "early_ms": T - 900_000, "since_ms": T - 7_200_000, "version": 3,
        "why": "sells 180 % of normal",
    },
    {"place": "store:45", "product": "2000000000022", "status": "ok", "since_ms": T, "version": 2,
     "why": "90 left"},
    {"place": "store:46", "product": "*", "status": "offline", "since_ms": T, "version": 1,
     "why": "57 baskets were due"},
    {"place": "region:gauteng", "product": "2000000000015", "status": "regional_shortage",
     "since_ms": T, "version": 9, "why": "5 stores within 60 min"},
]  # fmt: skip


@pytest.fixture
def run(monkeypatch):
    with mock_aws():
        monkeypatch.setenv("TILLSTREAM_CONF", json.dumps({"dynamodb": {"endpoint": None}}))
        client = boto3.client("dynamodb", region_name=settings.load().region)
        monkeypatch.setattr(clients, "dynamodb", lambda conf: client)

        def invoke(*arguments: str, table: bool = True):
            if table:
                client.create_table(
                    TableName="shortages",
                    KeySchema=[
                        {"AttributeName": "place", "KeyType": "HASH"},
                        {"AttributeName": "product", "KeyType": "RANGE"},
                    ],
                    AttributeDefinitions=[
                        {"AttributeName": name, "AttributeType": "S"}
                        for name in ("place", "product")
                    ],
                    BillingMode="PAY_PER_REQUEST",
                )
                for line in LINES:
                    item = {
                        k: {"N": str(v)} if isinstance(v, int) else {"S": v}
                        for k, v in line.items()
                    }
                    client.put_item(TableName="shortages", Item=item)
            return CliRunner().invoke(main, ["shortages", *arguments])

        yield invoke


def test_open_shortages_are_shown_with_their_times_in_the_stores_clock_and_why(run):
    said = run().output
    assert "18:00 (17:45 to later)" in said
    assert "sells 180 % of normal" in said
    assert "regional shortage" in said
    assert "offline" in said
    assert "90 left" not in said


def test_of_one_store_all_that_is_known_can_be_asked(run):
    said = run("--store", "45", "--all").output
    assert "90 left" in said
    assert "offline" not in said


def test_a_store_without_shortage_says_so(run):
    assert run("--store", "47").output == "Nothing is short at store:47.\n"


def test_lines_as_json_are_what_the_table_holds(run):
    (line,) = map(json.loads, run("--region", "gauteng", "--json").output.splitlines())
    assert line == LINES[3]


def test_a_table_that_is_not_there_is_said_in_one_line_with_the_fix(run):
    result = run(table=False)
    assert result.exit_code == 1
    assert "table shortages" in result.output
    assert "tillstream up" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_store_and_a_region_together_are_refused(run):
    assert run("--store", "45", "--region", "gauteng").exit_code == 2
