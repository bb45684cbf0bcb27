"""A hot item never shows an older version after a newer one, and a sick table stops the job."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import replace
from typing import Any

import orjson
import pytest
from py4j.protocol import Py4JJavaError

from tests.support import hot_items
from tests.support.hot_items import entry
from tillstream.catalog import tables
from tillstream.catalog.resources import Table
from tillstream.clients import aws as clients
from tillstream.conf import Conf

WRITERS = 4


def conf_of(stack: Any, table: str, **settings: Any) -> Conf:
    endpoint = settings.pop("endpoint", stack.conf().dynamodb.endpoint)
    return hot_items.conf_of(endpoint, table, **settings)


@pytest.fixture
def table(stack: Any) -> str:
    name = f"balances-{uuid.uuid4().hex[:8]}"
    clients.dynamodb(stack.conf()).create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "customer_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "customer_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def write(
    entries: list[str],
    conf: Conf,
    table: Table = hot_items.WHOLE,
    writers: int = WRITERS,
    arrived_ms: int | None = None,
) -> None:
    env = hot_items.environment(writers)
    hot_items.sink(env, conf, hot_items.each(env, entries, arrived_ms), table)
    env.execute("hot items")


def items(conf: Conf, table: str) -> dict[str, dict[str, Any]]:
    pages = clients.dynamodb(conf).get_paginator("scan").paginate(TableName=table)
    return {item["customer_id"]["S"]: item for page in pages for item in page["Items"]}


@pytest.mark.parametrize("age_ms", [None, 600_000], ids=["live", "in a replay"])
def test_no_item_is_stale_when_four_writers_update_each_key_under_load(stack, table, age_ms):
    conf = conf_of(stack, table, in_flight=32)
    chance = random.Random(7)
    newest: dict[int, int] = {}
    entries = []
    for _ in range(3000):
        customer = chance.randrange(150)
        newest[customer] = newest.get(customer, 0) + 1
        entries.append(entry(customer, newest[customer]))
    arrived_ms = int(time.time() * 1000) - age_ms if age_ms else None
    write(entries, conf, arrived_ms=arrived_ms)
    expected = {f"C{c:010d}": (str(v), str(v * 7), f"tx-{c}-{v}") for c, v in newest.items()}
    found = {
        key: (item["version"]["N"], item["balance"]["N"], item["last_transaction_id"]["S"])
        for key, item in items(conf, table).items()
    }
    assert found == expected


def test_a_replay_of_older_versions_changes_nothing_and_of_the_same_one_replaces(stack, table):
    conf = conf_of(stack, table)
    write([entry(1, 5)], conf, writers=1)
    write([entry(1, 3)], conf, writers=1)
    assert items(conf, table)["C0000000001"]["version"]["N"] == "5"
    write([entry(1, 5).replace("tx-1-5", "tx-again")], conf, writers=1)
    assert items(conf, table)["C0000000001"]["last_transaction_id"]["S"] == "tx-again"


def test_a_small_buffer_slows_the_job_and_loses_nothing(stack, table):
    conf = conf_of(stack, table, in_flight=2, buffered_items=2)
    write([entry(customer, 1) for customer in range(300)], conf)
    assert len(items(conf, table)) == 300


def test_a_merged_item_is_changed_only_where_the_newer_version_says_so(stack, table):
    fields = ("customer_id", "open", "status", "reasons")
    attributes = (*((name, name, "S") for name in fields), ("version", "version", "N"))
    merged = replace(hot_items.WHOLE, fields=attributes, merge=True)

    def put(*versions: dict[str, Any]) -> dict[str, str]:
        documents = [{"customer_id": "C0000000001", **version} for version in versions]
        write([orjson.dumps(d).decode() for d in documents], conf, merged, writers=1)
        (item,) = items(conf, table).values()
        return {name: next(iter(value.values())) for name, value in item.items()}

    conf = conf_of(stack, table)
    opened = {"version": 1, "open": "yes", "status": "open", "reasons": "large"}
    closed = {"version": 9, "open": None, "status": "closed"}
    wanted = {"customer_id": "C0000000001", "version": "9", "status": "closed", "reasons": "large"}
    assert put(opened, closed) == wanted
    assert put(opened) == wanted
    assert put({"version": 10, "reasons": "late"}) == wanted | {"version": "10", "reasons": "late"}


@pytest.mark.parametrize("together", [True, False], ids=["merged while they wait", "one by one"])
def test_a_verdict_that_comes_before_its_case_leaves_the_case_its_own_fields(
    stack, table, together
):
    """Fields with a version of their own: written though a newer version of the item is there."""
    fields = ("customer_id", "open", "status", "verdict", "reasons")
    merged = replace(
        tables.BALANCES,
        fields=(*((name, name, "S") for name in fields), ("version", "version", "N")),
        merge=True,
        versions={"judged_version": ("reasons",)},
    )

    def put(*versions: dict[str, Any]) -> dict[str, str]:
        texts = [orjson.dumps({"customer_id": "C1", **version}).decode() for version in versions]
        for batch in [texts] if together else [[text] for text in texts]:
            write(batch, conf, merged, writers=1)
        (item,) = items(conf, table).values()
        return {name: next(iter(value.values())) for name, value in item.items()}

    conf = conf_of(stack, table)
    case = {"version": 1, "open": "open", "status": "open", "reasons": "large"}
    verdict = {"version": 9, "open": None, "status": "closed", "verdict": "review"}
    closed = {
        "customer_id": "C1", "status": "closed", "verdict": "review", "version": "9",
        "reasons": "large", "judged_version": "1",
    }  # fmt: skip
    assert put(verdict, case) == closed
    assert put(case | {"reasons": "judged again"}) == closed | {"reasons": "judged again"}
    newer = {"version": 2, "status": "open", "reasons": "newer"}
    assert put(newer, case) == closed | {"reasons": "newer", "judged_version": "2"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"tables": {"balances": "no-such-table"}}, "DynamoDB table 'no-such-table' at http"),
        (
            {"endpoint": "http://127.0.0.1:9", "give_up_after_s": 1},
            "nothing could be written for",
        ),
    ],
    ids=["no such table", "unreachable"],
)
def test_what_cannot_be_written_fails_the_job_and_says_where(stack, table, overrides, message):
    conf = conf_of(stack, table, **overrides)
    with pytest.raises(Py4JJavaError) as failed:
        write([entry(1, 1)], conf, writers=1)
    assert message in str(failed.value)
