"""Items of DynamoDB tables in plain values. Every call may raise botocore's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_plain = TypeDeserializer().deserialize
_typed = TypeSerializer().serialize


def plain(item: dict[str, Any]) -> dict[str, Any]:
    """The item's attributes; whole numbers as int."""
    found = {name: _plain(value) for name, value in item.items()}
    for name, value in found.items():
        if isinstance(value, Decimal):
            found[name] = int(value) if value == int(value) else float(value)
    return found


def typed(attributes: dict[str, Any]) -> dict[str, Any]:
    """The other way round: texts and whole numbers as DynamoDB has them."""
    return {name: _typed(value) for name, value in attributes.items()}


def expressions(values: dict[str, Any], **texts: str) -> dict[str, Any]:
    """Parameters of a request with these expressions, such as ConditionExpression: ``#name`` in them is
    the attribute of that name, ``:name`` one of ``values``."""
    named = re.findall(r"#(\w+)", " ".join(texts.values()))
    return {
        **texts,
        "ExpressionAttributeNames": {f"#{name}": name for name in named},
        "ExpressionAttributeValues": typed({f":{name}": value for name, value in values.items()}),
    }


def get(client: Any, table: str, **key: str) -> dict[str, Any] | None:
    """One item by its key, as of now; None if there is none."""
    answer = client.get_item(TableName=table, Key=typed(key), ConsistentRead=True)
    return plain(answer["Item"]) if "Item" in answer else None


def scan(client: Any, table: str) -> Iterator[dict[str, Any]]:
    """All items of a small table, as of now."""
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return (plain(item) for page in pages for item in page["Items"])


def oldest(client: Any, table: str, index: str, limit: int) -> list[dict[str, Any]]:
    """At most ``limit`` items that are ``open``, by the sort key of ``index``."""
    paging = {"MaxItems": limit, "PageSize": limit}
    return list(query(client, table, "open", "open", IndexName=index, PaginationConfig=paging))


def query(client: Any, table: str, name: str, value: str, **more: Any) -> Iterator[dict[str, Any]]:
    """The items whose partition key ``name`` is ``value``, by their sort key. ``more``: of the request,
    such as IndexName."""
    key = expressions({"value": value}, KeyConditionExpression=f"#{name} = :value")
    pages = client.get_paginator("query").paginate(TableName=table, **key, **more)
    return (plain(item) for page in pages for item in page["Items"])
