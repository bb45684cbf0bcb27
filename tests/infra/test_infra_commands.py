"""tillstream infra as it prints: templates, differences, permissions, ages of snapshots, costs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from rich.console import Console

from tests.infra import golden
from tillstream.cli import main, tables
from tillstream.infra import metrics, snapshots

SHOP = ("--tx-per-second", "15000", "--customers", "40000000", "--stores", "2900")


@pytest.fixture(autouse=True)
def _production(monkeypatch):
    monkeypatch.setenv("TILLSTREAM_ENV", "prod")


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["infra", *arguments])
    assert done.exit_code == code, done.output
    return done.output


@pytest.mark.parametrize("part", ["data", "jobs"])
def test_a_template_is_printed_and_compared_with_one_in_a_file(part, tmp_path):
    text = run("template", part)
    file = tmp_path / "template.json"
    file.write_text(text)
    assert "Nothing would change." in run("diff", part, str(file))


def test_a_difference_that_costs_data_ends_with_an_error(tmp_path):
    was = json.loads(run("template", "data"))
    was["Resources"]["TableStock"]["Properties"]["TableName"] = "old-stock"
    file = tmp_path / "template.json"
    file.write_text(json.dumps(was))
    said = run("diff", "data", str(file), code=1)
    assert "replace" in said
    assert "TableStock" in said
    assert "error: something that keeps data would be replaced" in said


def test_a_file_that_is_no_template_is_refused(tmp_path):
    file = tmp_path / "other.json"
    file.write_text("[]")
    assert "is not a template" in run("diff", "data", str(file), code=1)


def test_the_stack_policy_forbids_to_replace_and_to_delete():
    forbidden = [one["Action"] for one in json.loads(run("template", "stack-policy"))["Statement"]
                 if one["Effect"] == "Deny"]  # fmt: skip
    assert forbidden == [["Update:Replace", "Update:Delete"]]


def test_a_policy_says_what_each_permission_is_there_for():
    said = run("policy", "sales")
    assert "kafka-cluster:WriteData" in said
    assert "topic tax_hours" in said
    assert "history held" in said or "history sales_held" in said
    assert json.loads(run("policy", "sales", "--json"))["Version"] == "2012-10-17"
    assert "there is no job nosuch" in run("policy", "nosuch", code=1)


def test_a_policy_and_a_cost_fit_on_80_columns(monkeypatch):
    monkeypatch.setattr(tables, "console", lambda stderr=False: Console(width=80, highlight=False))
    for arguments in (("policy", "sales"), ("cost", *SHOP)):
        for line in run(*arguments).splitlines():
            assert len(line) <= 80 or len(line.split()) <= 2, line


def test_a_cost_says_its_currency_date_region_and_doubts():
    said = run("cost", *SHOP)
    assert "USD a month in af-south-1, prices as of 2026-11-30" in said
    assert "by prices that nobody has verified" in said
    answer = json.loads(run("cost", *SHOP, "--region", "eu-west-1", "--json"))
    assert (answer["region"], answer["currency"]) == ("eu-west-1", "USD")
    assert {one["status"] for one in answer["lines"]} == {"quoted", "unverified"}


NOW_MS = 1_795_507_200_000


class FakeFlink:
    """Two pages of snapshots of fraud, none of sales, and no application of any other name."""

    def list_application_snapshots(self, ApplicationName, Limit, NextToken=None):
        def one(hours: int, status: str = "READY") -> dict[str, object]:
            at = datetime.fromtimestamp(NOW_MS / 1000 - hours * 3600, UTC)
            return {"SnapshotStatus": status, "SnapshotCreationTimestamp": at}

        if ApplicationName == "prod.sales":
            return {"SnapshotSummaries": []}
        if ApplicationName != "prod.fraud":
            error = {"Error": {"Code": "ResourceNotFoundException", "Message": "not there"}}
            raise ClientError(error, "ListApplicationSnapshots")
        if NextToken is None:
            return {"SnapshotSummaries": [one(30), one(1, "CREATING")], "NextToken": "2"}
        return {"SnapshotSummaries": [one(7)]}


def test_the_newest_finished_snapshot_is_the_one_that_counts():
    found = snapshots.ages(FakeFlink(), golden.CONF, ["fraud", "sales", "intake"], NOW_MS)
    assert [(one.job, one.seconds, one.problem) for one in found] == [
        ("fraud", 7 * 3600, None), ("sales", None, None), ("intake", None, "not there")]  # fmt: skip


def test_ages_go_to_cloudwatch_under_the_alarm_s_name():
    sent = []

    class FakeCloudWatch:
        def put_metric_data(self, **request):
            sent.append(request)

    ages = [snapshots.Age("fraud", 25), snapshots.Age("sales", None)]
    assert snapshots.report(FakeCloudWatch(), golden.CONF, ages) == 1
    ((figure,),) = [one["MetricData"] for one in sent]
    assert sent[0]["Namespace"] == metrics.OURS
    assert (figure["MetricName"], figure["Value"]) == (metrics.SNAPSHOT_AGE, 25)
    assert figure["Dimensions"] == [{"Name": "Application", "Value": "prod.fraud"}]
