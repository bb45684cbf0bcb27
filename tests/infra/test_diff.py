"""A change says what CloudFormation would replace, and whether data would be left behind."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.infra import golden
from tillstream import conf
from tillstream.catalog import tables
from tillstream.infra import data, diff

DATA = data.template(golden.CONF, tables.HOT)


def with_table(**properties: Any) -> dict[str, Any]:
    found = copy.deepcopy(DATA)
    found["Resources"]["TableStock"]["Properties"] |= properties
    return found


def test_what_is_the_same_is_no_change():
    assert diff.changes(DATA, copy.deepcopy(DATA)) == []


def test_everything_is_new_where_there_was_nothing():
    found = diff.changes({}, DATA)
    assert {one.what for one in found} == {"add"}
    assert len(found) == len(DATA["Resources"])


def test_longer_retention_is_changed_in_place():
    longer = conf.load("prod", {"infra": {"stream": {"retention_hours": 336}}})
    (one,) = diff.changes(DATA, data.template(longer, tables.HOT))
    assert (one.what, one.name, one.properties) == (
        "change",
        "StreamTills",
        ("RetentionPeriodHours",),
    )
    assert not one.loses


@pytest.mark.parametrize(
    "properties",
    [{"TableName": "stock-2"}, {"KeySchema": [{"AttributeName": "store", "KeyType": "HASH"}]}],
    ids=["name", "key"],
)
def test_a_table_of_another_name_or_key_would_be_a_new_empty_one(properties):
    (one,) = diff.changes(DATA, with_table(**properties))
    assert (one.what, one.name, one.loses) == ("replace", "TableStock", True)


def test_a_table_that_is_listed_no_longer_would_be_left_behind():
    kept = [one for one in tables.HOT if one is not tables.STOCK]
    (one,) = diff.changes(DATA, data.template(golden.CONF, kept))
    assert (one.what, one.loses) == ("remove", True)


def test_a_thing_of_another_type_is_replaced():
    other = copy.deepcopy(DATA)
    other["Resources"]["TableStock"]["Type"] = "AWS::DynamoDB::GlobalTable"
    (one,) = diff.changes(DATA, other)
    assert (one.what, one.loses) == ("replace", True)


def test_what_replaces_is_what_cloudformation_s_registry_says():
    """The registry's schemas come with cfn-lint, which moto brings."""
    cfnlint = pytest.importorskip("importlib.util").find_spec("cfnlint")
    if cfnlint is None:
        pytest.skip("cfn-lint is not installed")
    schemas = Path(cfnlint.origin).parent / "data" / "schemas"
    by_type = json.loads((schemas / "providers" / "us-east-1.json").read_text())
    for kind, properties in diff.REPLACED_BY.items():
        schema = json.loads((schemas / "resources" / f"{by_type[kind]}.json").read_text())
        said = [
            *schema.get("createOnlyProperties", ()),
            *schema.get("conditionalCreateOnlyProperties", ()),
        ]
        assert {one.removeprefix("/properties/") for one in said} == set(properties), kind
