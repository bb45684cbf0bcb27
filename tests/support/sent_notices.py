"""The table of sent notices in memory: what the log asks of DynamoDB, each request whole, which moto's
are not where threads are many. ``before`` and ``after`` are called around each request.

test_notifier.py runs on this table and on moto's alike."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tillstream.clients import items

_TOKEN = re.compile(
    r"attribute_not_exists\((\w+)\)|#(\w+)|:(\w+)|<>|=|\bAND\b|\bOR\b|\b([a-z_]\w*)"
)
_AS_PYTHON = {"<>": "!=", "=": "==", "AND": "and", "OR": "or"}


class ConditionalCheckFailedException(Exception):
    pass


def nothing(request: str) -> None:
    pass


class TableInMemory:
    """``rows``: id -> attributes in plain values."""

    class exceptions:
        ConditionalCheckFailedException = ConditionalCheckFailedException

    def __init__(
        self, before: Callable[[str], None] = nothing, after: Callable[[str], None] = nothing
    ) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.before, self.after = before, after
        self._whole = threading.RLock()

    def put_item(self, Item: dict[str, Any], **more: Any) -> dict[str, Any]:
        def put(row: dict[str, Any]) -> dict[str, Any]:
            return items.plain(Item)

        return self._change("put", Item["notice_id"]["S"], put, more)

    def update_item(
        self, Key: dict[str, Any], UpdateExpression: str, **more: Any
    ) -> dict[str, Any]:
        values = items.plain(more["ExpressionAttributeValues"])
        sets, _, removed = UpdateExpression.removeprefix("SET ").partition(" REMOVE ")
        changes = dict(re.findall(r"#?(\w+) = (:\w+)", sets))
        gone = re.findall(r"\w+", removed)

        def update(row: dict[str, Any]) -> dict[str, Any]:
            kept = {name: value for name, value in row.items() if name not in gone}
            return kept | {name: values[value] for name, value in changes.items()}

        return self._change("update", Key["notice_id"]["S"], update, more)

    def delete_item(self, Key: dict[str, Any], **more: Any) -> dict[str, Any]:
        return self._change("delete", Key["notice_id"]["S"], lambda row: None, more)

    def get_item(self, Key: dict[str, Any], **more: Any) -> dict[str, Any]:
        self.before("get")
        row = self.rows.get(Key["notice_id"]["S"])
        self.after("get")
        return {} if row is None else {"Item": items.typed(row)}

    def get_paginator(self, name: str) -> TableInMemory:
        assert name == "query"
        return self

    def paginate(self, IndexName: str, **more: Any) -> Iterator[dict[str, Any]]:
        assert IndexName == "open-notices"
        waiting = [row for row in self.rows.values() if "open" in row]
        waiting.sort(key=lambda row: row["claimed_at_ms"])
        return iter([{"Items": [items.typed(row) for row in waiting]}])

    def _change(
        self, request: str, notice_id: str, change: Callable[[Any], Any], more: dict[str, Any]
    ) -> dict[str, Any]:
        self.before(request)
        with self._whole:
            row = self.rows.get(notice_id, {})
            if not _holds(more["ConditionExpression"], more["ExpressionAttributeValues"], row):
                raise ConditionalCheckFailedException(notice_id)
            changed = change(row)
            if changed is None:
                del self.rows[notice_id]
            else:
                self.rows[notice_id] = changed
        self.after(request)
        return {}


def _holds(condition: str, values: dict[str, Any], row: dict[str, Any]) -> bool:
    def python(found: re.Match[str]) -> str:
        absent, name, value, bare = found.groups()
        if absent:
            return str(absent not in row)
        if value:
            return f"values[':{value}']"
        return f"row.get({(name or bare)!r})" if name or bare else _AS_PYTHON[found[0]]

    return bool(eval(_TOKEN.sub(python, condition), {"row": row, "values": items.plain(values)}))
