"""A job's role may do what its entry takes, and no more."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.infra import golden
from tests.support import ROOT
from tillstream import catalog, conf
from tillstream.catalog import tables, topics
from tillstream.catalog.entry import Job
from tillstream.infra import policy
from tillstream.infra.policy import SERVICE
from tillstream.replay.phases import Origin

CONF = golden.CONF
JOBS = catalog.jobs()
each_job = pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
# What a role's inline policies may have together, without blanks.
MOST_BYTES = 10_240
# Resources that end with an asterisk, each with what is before it; docs/infrastructure.md says why.
PREFIXES = (
    r"s3:::[a-z-]+/[a-z/-]+/\*",  # the files of a history, the zips of a job
    r":transactional-id/\S+/prod\.[a-z]+\.\*",
    r":topic/\S+/replay-[a-z]+-\*",
    r":ec2:\S+:(network-interface|subnet|security-group)/\*",
)
# Actions that know no resources: they look, and change nothing.
RESOURCELESS = {"ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs",
                "logs:DescribeLogGroups"}  # fmt: skip


def plain(resource: Any) -> str:
    return resource if isinstance(resource, str) else str(next(iter(resource.values())))


def allowed(settings: conf.Conf, job: Job) -> set[tuple[str, str]]:
    """(action, resource)."""
    return {(action, plain(resource)) for one in policy.grants(settings, job)
            for action in one.actions for resource in one.resources}  # fmt: skip


@each_job
def test_no_resource_is_a_wildcard(job):
    for action, resource in allowed(CONF, job):
        assert "*" not in action
        if resource == "*":
            assert action in RESOURCELESS
        elif "*" in resource:
            assert any(re.search(f"{known}$", resource) for known in PREFIXES), resource


@each_job
def test_what_knows_no_resources_is_under_a_condition(job):
    for grant in policy.grants(CONF, job):
        if any(plain(one) == "*" or ":ec2:" in plain(one) for one in grant.resources):
            assert grant.condition, grant.name


@each_job
def test_every_permission_is_there_for_something_that_the_entry_lists(job):
    known = {f"{type(one).__name__.lower()} {one.id}" for one in (*job.reads, *job.writes)}
    known |= {"stream of the tills"} if job.raw else set()
    known |= {"topic transactions"} if job.transactions and not job.raw else set()
    for grant in policy.grants(CONF, job):
        assert grant.because
        assert set(grant.because) <= known | {SERVICE}, grant.name


@each_job
def test_whatever_an_entry_lists_has_its_permissions_and_takes_them_with_it(job):
    whole = allowed(CONF, job)
    for one in job.writes:
        without = replace(job, writes=tuple(other for other in job.writes if other is not one))
        gone = whole - allowed(CONF, without)
        assert gone, f"nothing goes with {one.id}"
        name = {"Topic": CONF.topic, "Table": CONF.table, "History": CONF.prefix}[
            type(one).__name__
        ]
        assert any(re.search(rf"/{name(one)}(/\*)?$", resource) for _, resource in gone)
        assert allowed(CONF, without) <= whole
    for one in job.reads:
        without = replace(job, reads=tuple(other for other in job.reads if other is not one))
        gone = whole - allowed(CONF, without)
        assert any(action == "kafka-cluster:ReadData" for action, _ in gone)


@each_job
def test_nobody_may_make_or_delete_topics_tables_streams_or_buckets(job):
    verbs = {action.partition(":")[2] for action, _ in allowed(CONF, job)}
    for verb in verbs - {"CreateNetworkInterface", "CreateNetworkInterfacePermission",
                         "DeleteNetworkInterface", "DeleteObject"}:  # fmt: skip
        assert not verb.startswith(("Create", "Delete")), verb


@each_job
def test_a_policy_is_no_longer_than_iam_takes(job):
    text = json.dumps(policy.document(CONF, job), separators=(",", ":"))
    assert len(text) < MOST_BYTES


@each_job
def test_only_the_job_s_own_application_may_take_its_role(job):
    found = golden.templates([job.name], [])["jobs"]["Resources"][f"Role{job.name.capitalize()}"]
    (trust,) = found["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "kinesisanalytics.amazonaws.com"}
    source = plain(trust["Condition"]["ArnEquals"]["aws:SourceArn"])
    assert source.endswith(f":application/prod.{job.name}")
    assert "aws:SourceAccount" in trust["Condition"]["StringEquals"]


def test_the_stream_is_read_by_four_calls_and_not_at_all_where_tills_send_to_kafka():
    intake = catalog.job("intake")

    def kinesis(settings: conf.Conf) -> set[str]:
        found = allowed(settings, intake)
        return {action for action, _ in found if action.startswith("kinesis:")}

    calls = {"DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards"}
    assert kinesis(CONF) == {f"kinesis:{call}" for call in calls}
    kafka = conf.load("prod", {"source": {"kind": "kafka"}})
    assert not kinesis(kafka)
    read = {resource for action, resource in allowed(kafka, intake) if action.endswith("ReadData")}
    assert any(one.endswith("/till-transactions") for one in read)


def test_only_a_table_that_merges_is_updated():
    actions = {plain(resource).rpartition("/")[2]: action
               for action, resource in allowed(CONF, catalog.job("fraud"))
               if action.startswith("dynamodb:")}  # fmt: skip
    assert actions == {"fraud-cases": "dynamodb:UpdateItem", "staff-cases": "dynamodb:UpdateItem",
                       "fraud-explanations": "dynamodb:PutItem"}  # fmt: skip


def test_transactions_are_for_those_who_write_exactly_once():
    def transactional(settings: conf.Conf, name: str) -> bool:
        return any("Transactional" in action for action, _ in allowed(settings, catalog.job(name)))

    assert transactional(CONF, "inventory")
    assert not transactional(CONF, "loyalty")
    assert transactional(conf.load("prod", {"kafka": {"delivery": "exactly-once"}}), "loyalty")


def test_a_replay_may_read_the_topic_that_it_fills():
    origin = Origin(job="loyalty", replay_id="r1", savepoint="s3://x", taken_at_ms=0, boundary_ms=0)
    prefix = f"{policy.REPLAYED}-loyalty-"
    assert origin.topics.startswith(prefix)
    resources = {resource for _, resource in allowed(CONF, catalog.job("loyalty"))}
    assert any(one.endswith(f"/{prefix}*") for one in resources)


def test_names_of_the_deployment_are_those_of_the_policy():
    own = conf.load("prod", {"deployment": "blue", "dynamodb": {"tables": {"stock": "stock-blue"}},
                             "kafka": {"topics": {topics.STOCK_CHANGES.id: "changes-blue"}},
                             "s3": {"prefixes": {tables.STOCK_LEDGER.id: "blue/ledger"}}})  # fmt: skip
    text = json.dumps(policy.document(own, catalog.job("inventory")))
    for name in (
        "stock-blue",
        "changes-blue",
        "blue/ledger/*",
        "/blue.inventory",
        "blue.inventory.*",
    ):
        assert name in text
    assert "prod" not in text


def test_the_page_lists_every_resource_that_ends_with_an_asterisk():
    page = (ROOT / "docs" / "infrastructure.md").read_text()
    for word in ("transactional-id/", "topic/", "network-interface/", "security-group/",
                 "subnet/", "DescribeLogGroups"):  # fmt: skip
        assert f"{word}" in page
