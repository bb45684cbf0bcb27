"""Templates are what was recorded; nothing that keeps data is ever replaced or deleted; names are unique."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.infra import golden
from tests.support import ROOT
from tillstream import catalog, conf
from tillstream.catalog import tables
from tillstream.catalog.resources import Table
from tillstream.infra import alarms, data, diff, jobs

CONF = golden.CONF
JOBS = catalog.jobs()
DATA = data.template(CONF, tables.HOT)
WORK = jobs.template(CONF, JOBS)
BOTH = {"data": DATA, "jobs": WORK}
# What CloudFormation takes of a template.
MOST_BYTES, MOST_RESOURCES, MOST_OUTPUTS = 1_000_000, 500, 200
NAMES = ("TableName", "BucketName", "Name", "TopicName", "LogGroupName", "AlarmName", "AliasName",
         "DashboardName")  # fmt: skip


def changed(**more: Any) -> conf.Conf:
    return conf.load("prod", {"infra": more})


@pytest.mark.parametrize("part", BOTH)
def test_the_template_is_what_was_recorded(part):
    was = golden.recorded()
    now = golden.templates(was["names"]["jobs"], was["names"]["tables"])[part]
    differs = difflib.unified_diff(
        golden.lines(was[part]), golden.lines(now), "recorded", "now", lineterm="", n=4
    )
    told = "\n".join(differs)
    assert not told, f"{told}\n\nIf that is meant: python -m tests.infra.golden"


@pytest.mark.parametrize("part", BOTH)
def test_a_template_is_no_larger_than_cloudformation_takes(part):
    template = BOTH[part]
    assert len(json.dumps(template, indent=1)) < MOST_BYTES
    assert len(template["Resources"]) < MOST_RESOURCES
    assert len(template["Outputs"]) < MOST_OUTPUTS
    assert all(re.fullmatch(r"[A-Za-z0-9]{1,255}", name) for name in template["Resources"])


def test_what_keeps_data_stays_when_its_stack_goes():
    kept = [(n, one) for both in BOTH.values() for n, one in both["Resources"].items()
            if one["Type"] in diff.STATEFUL and n != "TopicAlarms"]  # fmt: skip
    assert len(kept) > len(tables.HOT)
    for name, one in kept:
        assert (one["DeletionPolicy"], one["UpdateReplacePolicy"]) == ("Retain", "Retain"), name
    assert all(one["DeletionPolicy"] == "Retain" for one in DATA["Resources"].values())


def test_the_applications_are_not_cloudformation_s():
    types = {one["Type"] for both in BOTH.values() for one in both["Resources"].values()}
    assert not {kind for kind in types if "KinesisAnalytics" in kind}


def test_every_name_on_aws_is_there_once():
    named = Counter(
        (one["Type"], str(one["Properties"][key]), str(one["Properties"].get("LogStreamName")))
        for both in BOTH.values()
        for one in both["Resources"].values()
        for key in NAMES
        if key in one["Properties"] and one["Type"] != "AWS::Logs::LogStream"
    )
    assert not [name for name, count in named.items() if count > 1]
    exports = [one["Export"]["Name"] for one in DATA["Outputs"].values()]
    assert len(exports) == len(set(exports))


def test_a_table_more_changes_nothing_about_the_others():
    more = Table("another", key=(("a", "S"),))
    for at in (0, len(tables.HOT)):
        listed = [*tables.HOT[:at], more, *tables.HOT[at:]]
        found = diff.changes(DATA, data.template(CONF, listed))
        assert [(one.what, one.name) for one in found] == [("add", "TableAnother")]


def test_a_job_more_only_adds_and_shows_on_the_dashboard():
    (first, *others) = JOBS
    found = diff.changes(jobs.template(CONF, others), jobs.template(CONF, [first, *others]))
    assert {one.name for one in found if one.what != "add"} == {"Dashboard"}
    named = replace(first, name="another")
    both = jobs.template(CONF, [*JOBS, named])["Resources"]
    assert len(both) > len(WORK["Resources"])


def test_a_table_has_what_the_catalogue_says_of_it():
    cases = DATA["Resources"]["TableFraudCases"]["Properties"]
    assert cases["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert [one["IndexName"] for one in cases["GlobalSecondaryIndexes"]] == ["open-cases"]
    assert {one["AttributeName"] for one in cases["AttributeDefinitions"]} == {
        "transaction_id", "open", "event_time_ms"}  # fmt: skip
    assert cases["DeletionProtectionEnabled"]
    stock = DATA["Resources"]["TableStock"]["Properties"]
    assert stock["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert [one["KeyType"] for one in stock["KeySchema"]] == ["HASH", "RANGE"]
    assert "WarmThroughput" not in stock


def test_a_table_can_be_warmed_before_a_peak():
    warm = changed(warm_tables={"stock": {"reads_per_second": 12_000, "writes_per_second": 60_000}})
    found = data.template(warm, tables.HOT)["Resources"]["TableStock"]["Properties"]
    assert found["WarmThroughput"] == {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 60_000}
    with pytest.raises(conf.ConfError, match=r"infra.warm_tables.nosuch"):
        changed(warm_tables={"nosuch": {"reads_per_second": 12_000, "writes_per_second": 4_000}})


def test_an_open_upload_lives_longer_than_any_savepoint_that_names_it():
    rules = DATA["Resources"]["BucketData"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (days,) = [one["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for one in rules
               if "AbortIncompleteMultipartUpload" in one]  # fmt: skip
    assert days > CONF.savepoints.daily_for_days


def test_the_stream_is_on_demand_unless_shards_are_said():
    def stream(settings: conf.Conf) -> dict[str, Any]:
        found: dict[str, Any] = data.template(settings, ())["Resources"]["StreamTills"]
        return found["Properties"]

    assert stream(CONF)["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert "ShardCount" not in stream(CONF)
    assert stream(changed(stream={"shards": 19}))["ShardCount"] == 19
    kafka = conf.load("prod", {"source": {"kind": "kafka"}})
    assert "StreamTills" not in data.template(kafka, ())["Resources"]


def test_every_alarm_is_in_the_runbook_and_every_heading_there_is_an_alarm():
    page = (ROOT / "docs" / "runbooks" / "alarms.md").read_text()
    told = set(re.findall(r"^## ([a-z-]+)$", page, re.MULTILINE))
    assert told == {one.kind for one in alarms.alarms(CONF, JOBS)}


def test_every_job_and_every_table_it_writes_has_its_alarms():
    found = {(one.of, one.kind) for one in alarms.alarms(CONF, JOBS)}
    for job in JOBS:
        expected = {"checkpoint-age", "checkpoint-duration", "checkpoint-failures", "restarts",
                    "snapshot-age"}  # fmt: skip
        expected |= {"stream-lag"} if job.raw else {"topic-lag"}
        assert {(job.name, kind) for kind in expected} <= found
        assert {(table.id, "throttled") for table in job.tables} <= found
    assert ("fraud", "dead-letters") in found
    assert ("sales", "dead-letters") not in found


def test_an_alarm_watches_every_topic_that_its_job_reads():
    (lag,) = [
        one for one in alarms.alarms(CONF, JOBS) if (one.of, one.kind) == ("sales", "topic-lag")
    ]
    assert [one.dimensions["Topic"] for one in lag.watched] == ["transactions", "holds"]
    assert {one.dimensions["Consumer Group"] for one in lag.watched} == {"prod.sales"}
    assert lag.expression == "MAX([m0, m1])"


@pytest.mark.parametrize(("line", "name"), [("1.20", "fullRestarts"), ("2.2", "numRestarts")])
def test_restarts_are_counted_under_the_name_that_flink_s_line_has(line, name):
    found = alarms.alarms(changed(flink=line), JOBS)
    (one,) = [alarm for alarm in found if (alarm.of, alarm.kind) == ("fraud", "restarts")]
    assert one.watched[0].name == name


def test_intake_s_lag_is_that_of_the_stream():
    (one,) = [alarm for alarm in alarms.alarms(CONF, JOBS) if alarm.kind == "stream-lag"]
    assert one.of == "intake"
    assert one.watched[0].dimensions == {"StreamName": "till-transactions"}


def test_the_dashboard_is_json_once_cloudformation_has_put_its_values_in():
    body = WORK["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    values = {"${AWS::Region}": "af-south-1", "${KafkaName}": "shop"}
    for name, value in values.items():
        body = body.replace(name, value)
    assert "${" not in body
    widgets = json.loads(body)["widgets"]
    assert {one["properties"]["region"] for one in widgets} == {"af-south-1"}
    lag = next(one for one in widgets if "topic" in one["properties"]["title"])
    assert ["AWS/Kafka", "EstimatedMaxTimeLag", "Cluster Name", "shop", "Consumer Group", "prod.sales",
            "Topic", "holds"] in lag["properties"]["metrics"]  # fmt: skip


def test_deploy_finds_role_and_log_of_every_job():
    for job in JOBS:
        name = job.name.capitalize()
        assert WORK["Outputs"][f"Role{name}"]["Value"] == {"Fn::GetAtt": [f"Role{name}", "Arn"]}
        log = WORK["Outputs"][f"Log{name}"]["Value"]["Fn::Sub"]
        assert log.endswith(
            f":log-group:/aws/kinesis-analytics/prod.{job.name}:log-stream:application"
        )
