"""What others know of templates and policies: cfn-lint, parliament, AWS's own table of actions, checkov."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.infra import golden, tools
from tillstream import catalog
from tillstream.catalog import tables
from tillstream.infra import data, jobs, policy

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

# Checks of checkov that the templates do not pass, each with why.
ACCEPTED = {
    "CKV_AWS_18": "who read a file is CloudTrail's to say, of the account, not of this stack",
}
# An interface, its subnet and its groups are statements of their own, for each has its own condition. IAM
# takes them so; parliament looks for all three in one.
APART = "No resources match for the given action -  - [{'action': 'ec2:CreateNetworkInterface'"
ACTIONS = """
import json, sys
from policy_sentry.querying.actions import get_action_data
found = {}
for action in json.load(sys.stdin):
    service, _, name = action.partition(":")
    rows = (get_action_data(service, name) or {}).get(service, [])
    found[action] = [row["resource_arn_format"] for row in rows]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("templates")
    found = {"data": data.template(golden.CONF, tables.HOT),
             "jobs": jobs.template(golden.CONF, catalog.jobs())}  # fmt: skip
    for name, one in found.items():
        (folder / f"{name}.json").write_text(json.dumps(one, indent=1))
    return {name: folder / f"{name}.json" for name in found}


@pytest.mark.parametrize("part", ["data", "jobs"])
def test_cfn_lint_finds_nothing(files, part):
    program = Path(sys.executable).with_name("cfn-lint")  # of our own environment: moto brings it
    done = tools.said(program, "--regions", tools.REGION, "--", files[part])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("part", ["data", "jobs"])
def test_checkov_finds_nothing_but_what_is_accepted(files, part):
    program = tools.environment("checkov") / "checkov"
    skipped = ",".join(ACCEPTED)
    done = tools.said(program, "-f", files[part], "--framework", "cloudformation", "--compact",
                      "--quiet", "--skip-download", "--skip-check", skipped)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def resolved(value: Any) -> Any:
    """A policy with its functions replaced, as IAM gets it."""
    values = {"AWS::Partition": "aws", "AWS::Region": "af-south-1", "AWS::AccountId": "123456789012",
              "AWS::URLSuffix": "amazonaws.com", "KafkaName": "shop", "KafkaUuid": "uuid-1",
              "Vpc": "vpc-1"}  # fmt: skip
    if isinstance(value, list):
        return [resolved(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Sub" in value:
        text: str = value["Fn::Sub"]
        for name, one in values.items():
            text = text.replace(f"${{{name}}}", one)
        return text
    if "Ref" in value:
        return values.get(value["Ref"], "x-1")
    if "Fn::ImportValue" in value:
        return "arn:aws:kms:af-south-1:123456789012:key/k"
    return {name: resolved(one) for name, one in value.items()}


@pytest.mark.parametrize("job", catalog.names())
def test_parliament_finds_nothing(job):
    document = json.dumps(resolved(policy.document(golden.CONF, catalog.job(job))))
    done = tools.said(tools.environment("parliament") / "parliament", given=document)
    assert not done.stderr
    found = [line for line in done.stdout.splitlines() if line and APART not in line]
    assert not found, done.stdout


def test_every_action_exists_and_takes_a_resource_of_the_form_it_is_given():
    """By the service authorization reference, as policy-sentry has it."""
    granted: dict[str, set[str]] = {}
    for job in catalog.jobs():
        for one in resolved(policy.document(golden.CONF, job))["Statement"]:
            for action in one["Action"]:
                granted.setdefault(action, set()).update(one["Resource"])
    python = tools.environment("parliament") / "python"
    done = tools.said(python, "-c", ACTIONS, given=json.dumps(sorted(granted)))
    assert done.returncode == 0, done.stderr
    forms = json.loads(done.stdout)
    for action, resources in granted.items():
        assert forms[action], f"there is no action {action}"
        for resource in resources:
            assert any(_fits(resource, form) for form in forms[action]), (action, resource)


def _fits(resource: str, form: str) -> bool:
    if "*" in (resource, form):
        return resource == form
    kind, wanted = (one.split(":", 5)[5].partition("/")[0] for one in (resource, form))
    same_service = resource.split(":")[2] == form.split(":")[2]
    if resource.startswith("arn:aws:s3:::"):
        return same_service and ("/" in resource) == ("/" in form.split(":", 5)[5])
    if resource.startswith("arn:aws:logs:"):
        return same_service and resource.count(":") == form.count(":")
    return same_service and (kind == wanted or wanted == "${StreamType}")
