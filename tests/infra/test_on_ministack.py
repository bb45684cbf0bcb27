"""The stacks are created from nothing on a stand-in for CloudFormation, and changed; its change set
replaces nothing that keeps data."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from tests.infra import golden, tools
from tests.support.wait import wait_for
from tillstream import catalog, conf
from tillstream.catalog import tables
from tillstream.catalog.resources import Table
from tillstream.cli import main
from tillstream.infra import data, diff, jobs, metrics

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
CONF = golden.CONF
PARAMETERS = {
    "KafkaName": "shop",
    "KafkaUuid": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee-1",
    "Vpc": "vpc-0123456789abcdef0",
    "Subnets": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    "SecurityGroups": "sg-0123456789abcdef0",
}
GOOD = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
MORE = Table("another", key=(("a", "S"),), ttl="expires_at")
LONGER = conf.load("prod", {"infra": {"stream": {"retention_hours": 336}}})


class Stacks:
    """CloudFormation's calls, each until it is done."""

    def __init__(self, ministack: tools.MiniStack) -> None:
        self.ministack = ministack
        self.client = ministack.client("cloudformation")
        self.client_s3 = ministack.client("s3")
        self.client_s3.create_bucket(
            Bucket="templates", CreateBucketConfiguration={"LocationConstraint": tools.REGION}
        )

    def change(
        self, name: str, template: dict[str, Any], kind: str, **parameters: str
    ) -> list[dict]:
        """Makes a change set, reads it, executes it. Returns its changes."""
        found = self.change_set(name, template, kind, **parameters)
        self.client.execute_change_set(StackName=name, ChangeSetName=kind.lower())
        wait_for(lambda: not self.status(name).endswith("_IN_PROGRESS"), 300, f"{name} to be done")
        assert self.status(name) in GOOD, self.reasons(name)
        return found

    def change_set(
        self, name: str, template: dict[str, Any], kind: str, **parameters: str
    ) -> list[dict]:
        """What would change."""
        key = f"{name}-{kind}.json"
        self.client_s3.put_object(Bucket="templates", Key=key, Body=json.dumps(template).encode())
        given = [{"ParameterKey": n, "ParameterValue": v} for n, v in parameters.items()]
        self.client.create_change_set(
            StackName=name, ChangeSetName=kind.lower(), ChangeSetType=kind, Parameters=given,
            TemplateURL=f"{self.ministack.endpoint}/templates/{key}",
            Capabilities=["CAPABILITY_IAM"],
        )  # fmt: skip
        asked = {"StackName": name, "ChangeSetName": kind.lower()}
        wait_for(
            lambda: self.client.describe_change_set(**asked)["Status"] == "CREATE_COMPLETE",
            120, f"the change set of {name}",
        )  # fmt: skip
        found, token = [], {}
        while True:
            page = self.client.describe_change_set(**asked, **token)
            found += [one["ResourceChange"] for one in page["Changes"]]
            if not page.get("NextToken"):
                break
            token = {"NextToken": page["NextToken"]}
        return found

    def reasons(self, name: str) -> list[str]:
        events = self.client.describe_stack_events(StackName=name)["StackEvents"]
        return [
            f"{one['LogicalResourceId']}: {one['ResourceStatusReason']}"
            for one in events
            if one["ResourceStatus"].endswith("FAILED") and "ResourceStatusReason" in one
        ]

    def status(self, name: str) -> str:
        return self.client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    with tools.ministack(tmp_path_factory.mktemp("ministack")) as running:
        yield Stacks(running)


def for_ministack(template: dict[str, Any]) -> dict[str, Any]:
    """Without alarms on an expression: MiniStack has no metric math."""
    kept = {name: one for name, one in template["Resources"].items()
            if "Metrics" not in one["Properties"]}  # fmt: skip
    return template | {"Resources": kept}


@pytest.fixture(scope="module")
def created(stacks):
    first = stacks.change("data", data.template(CONF, tables.HOT), "CREATE")
    second = stacks.change(
        "jobs", for_ministack(jobs.template(CONF, catalog.jobs())), "CREATE", **PARAMETERS
    )
    return first, second


class Before(NamedTuple):
    """What was there before the change: when the stream was made, and a record and an item were put."""

    made: datetime
    changes: list[dict]


@pytest.fixture(scope="module")
def changed(created, stacks):
    stream = CONF.source.kinesis.stream
    kinesis = stacks.ministack.client("kinesis")
    kinesis.put_record(StreamName=stream, Data=b"a sale", PartitionKey="C1")
    stacks.ministack.client("dynamodb").put_item(
        TableName=CONF.table(tables.BALANCES), Item={"customer_id": {"S": "C1"}}
    )
    made = _stream(stacks)["StreamCreationTimestamp"]
    changes = stacks.change("data", data.template(LONGER, [MORE, *tables.HOT]), "UPDATE")
    return Before(made, changes)


def _stream(stacks: Stacks) -> dict[str, Any]:
    client = stacks.ministack.client("kinesis")
    said = client.describe_stream_summary(StreamName=CONF.source.kinesis.stream)
    return said["StreamDescriptionSummary"]


def test_both_stacks_are_created_from_nothing(created, stacks):
    first, second = created
    assert {one["Action"] for one in (*first, *second)} == {"Add"}
    assert (stacks.status("data"), stacks.status("jobs")) == ("CREATE_COMPLETE", "CREATE_COMPLETE")


def test_the_tables_are_there_as_the_catalogue_says(created, stacks):
    client = stacks.ministack.client("dynamodb")
    for table in tables.HOT:
        found = client.describe_table(TableName=CONF.table(table))["Table"]
        assert [one["AttributeName"] for one in found["KeySchema"]] == [
            name for name, _ in table.key
        ]
        assert len(found.get("GlobalSecondaryIndexes", ())) == (1 if table.index else 0)


def test_every_job_has_its_role_and_log(created, stacks):
    outputs = stacks.client.describe_stacks(StackName="jobs")["Stacks"][0]["Outputs"]
    found = {one["OutputKey"]: one["OutputValue"] for one in outputs}
    for job in catalog.names():
        assert ":role/" in found[f"Role{job.capitalize()}"]
        assert found[f"Log{job.capitalize()}"].startswith("arn:aws:logs:")


@pytest.fixture
def infra(stacks, monkeypatch):
    """`tillstream infra` of production, with MiniStack in AWS's place."""
    for name, value in {
        "AWS_ENDPOINT_URL": stacks.ministack.endpoint, "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "TILLSTREAM_ENV": "prod",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["infra", *arguments])

    return run


def test_nothing_would_change_right_after_the_stack_is_created(created, infra):
    said = infra("diff", "data", "--stack", "data")
    assert (said.exit_code, said.output.strip()) == (0, "Nothing would change.")


def test_a_stack_that_is_not_there_is_told(created, infra):
    said = infra("diff", "data")
    assert said.exit_code == 1
    assert "there is no stack prod-tillstream-data in af-south-1" in said.output


def test_ages_of_snapshots_arrive_where_the_alarm_looks(created, infra, stacks):
    flink = stacks.ministack.client("kinesisanalyticsv2")
    roles = stacks.client.describe_stacks(StackName="jobs")["Stacks"][0]["Outputs"]
    (role,) = [one["OutputValue"] for one in roles if one["OutputKey"] == "RoleFraud"]
    flink.create_application(
        ApplicationName="prod.fraud", RuntimeEnvironment="FLINK-1_20", ServiceExecutionRole=role,
        ApplicationConfiguration={
            "ApplicationCodeConfiguration": {
                "CodeContentType": "ZIPFILE",
                "CodeContent": {"S3ContentLocation": {
                    "BucketARN": "arn:aws:s3:::tillstream-code", "FileKey": "fraud/1.zip"}},
            },
            "ApplicationSnapshotConfiguration": {"SnapshotsEnabled": True},
        },
    )  # fmt: skip
    stacks.client_s3.put_object(Bucket="tillstream-code", Key="fraud/1.zip", Body=b"PK")
    flink.start_application(ApplicationName="prod.fraud")
    running = "ApplicationDetail"
    wait_for(
        lambda: flink.describe_application(ApplicationName="prod.fraud")[running]["ApplicationStatus"],
        60, "the application to run", lambda status: status == "RUNNING",
    )  # fmt: skip
    flink.create_application_snapshot(ApplicationName="prod.fraud", SnapshotName="s1")

    def ages() -> list[dict]:
        assert infra("snapshots").exit_code == 0
        now = datetime.now(UTC)
        return stacks.ministack.client("cloudwatch").get_metric_statistics(
            Namespace=metrics.OURS, MetricName=metrics.SNAPSHOT_AGE, Statistics=["Maximum"], Period=3600,
            Dimensions=metrics.dimensions({"Application": "prod.fraud"}),
            StartTime=now - timedelta(hours=2), EndTime=now + timedelta(hours=1),
        )["Datapoints"]  # fmt: skip

    (age,) = wait_for(ages, 60, "the age of a snapshot")
    assert 0 <= age["Maximum"] < 3600


def test_a_table_more_and_longer_retention_replace_nothing(changed):
    found = {one["LogicalResourceId"]: one for one in changed.changes}
    assert set(found) == {"TableAnother", "StreamTills"}
    assert found["TableAnother"]["Action"] == "Add"
    assert found["StreamTills"]["Action"] == "Modify"
    # MiniStack says Conditional of properties that it does not know better; what is there is looked at below.
    assert not [one for one in changed.changes if one.get("Replacement") == "True"]


def test_a_replacement_would_be_seen(changed, stacks):
    renamed = copy.deepcopy(data.template(LONGER, [MORE, *tables.HOT]))
    renamed["Resources"]["TableStock"]["Properties"]["TableName"] = "stock-2"
    stacks.client.delete_change_set(StackName="data", ChangeSetName="update")
    (one,) = stacks.change_set("data", renamed, "UPDATE")
    assert (one["LogicalResourceId"], one["Replacement"]) == ("TableStock", "True")


def test_the_change_is_made_and_what_was_there_is_still_there(changed, stacks):
    stream = _stream(stacks)
    assert stream["RetentionPeriodHours"] == 336
    assert stream["StreamCreationTimestamp"] == changed.made
    assert _records(stacks) == [b"a sale"]
    client = stacks.ministack.client("dynamodb")
    key = {"customer_id": {"S": "C1"}}
    assert "Item" in client.get_item(TableName=CONF.table(tables.BALANCES), Key=key)
    names = client.list_tables()["TableNames"]
    assert {CONF.table(one) for one in tables.HOT} | {"another"} <= set(names)


def _records(stacks: Stacks) -> list[bytes]:
    name, client = CONF.source.kinesis.stream, stacks.ministack.client("kinesis")
    found = []
    for shard in client.list_shards(StreamName=name)["Shards"]:
        start = client.get_shard_iterator(
            StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        found += client.get_records(ShardIterator=start["ShardIterator"])["Records"]
    return [one["Data"] for one in found]


def test_what_our_own_diff_says_is_what_cloudformation_says(changed):
    ours = diff.changes(data.template(CONF, tables.HOT), data.template(LONGER, [MORE, *tables.HOT]))
    theirs = {one["LogicalResourceId"]: one["Action"] for one in changed.changes}
    assert {one.name: {"add": "Add", "change": "Modify"}[one.what] for one in ours} == theirs
