"""What the platform holds: hot balances, ledger and archive files, dead letters."""

from __future__ import annotations

import itertools
import json
import operator
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import Message

from tillstream import conf as settings
from tillstream.catalog import tables, topics
from tillstream.catalog.resources import History, Table, Topic
from tillstream.check.held import said
from tillstream.check.notices import NoticeLog
from tillstream.clients import aws as clients
from tillstream.clients import parquet
from tillstream.clients.kafka import watermarks
from tillstream.clients.storage import S3Folder, Stored, open_bucket, visible
from tillstream.clients.whole_topic import read_whole
from tillstream.conf import Conf
from tillstream.errors import Unreachable

READERS = 8
UP = "run `tillstream status`, then `tillstream up`"
# What the check takes of a record. Anybody may write one that says less: it stops no job, and no check.
Says = Mapping[str, type]
A_RECEIPT: Says = {
    "transaction_id": str,
    "store": int,
    "business_day": str,
    "currency": str,
    "total": int,
    "lines": list,
}
A_TAX: Says = {"code": str, "amount": int, "rate": str, "added": bool, "net": int}
AN_ANSWER: Says = {"outcome": str, "customer_id": str, "transaction_id": str, "points": int}


class Platform:
    """Reads everything over the network. Parquet files are fetched once and kept, as they never change."""

    def __init__(self, conf: Conf) -> None:
        self.conf = conf
        self._tables: dict[Stored, pa.Table] = {}

    def balances(self) -> dict[str, tuple[int, int]]:
        """(balance, version) by account. The item of a member without points of their own has neither."""
        return {
            item["customer_id"]["S"]: (int(item["balance"]["N"]), int(item["version"]["N"]))
            for item in self._scan(tables.BALANCES, "customer_id", "balance", "version")
            if "balance" in item
        }

    def pending(self) -> dict[str, int]:
        """Points of held sales, by customer who has any."""
        found = self._scan(tables.BALANCES, "customer_id", "pending")
        told = (
            (one["customer_id"]["S"], int(one.get("pending", {"N": "0"})["N"])) for one in found
        )
        return {customer: points for customer, points in told if points}

    def stock(self) -> dict[tuple[int, str], tuple[int, int]]:
        """(level, version) by store and product."""
        return {
            (int(item["store"]["S"]), item["product"]["S"]): (
                int(item["quantity"]["N"]),
                int(item["version"]["N"]),
            )
            for item in self._scan(tables.STOCK, "store", "product", "quantity", "version")
        }

    def _scan(self, hot: Table, *names: str) -> Iterator[dict[str, Any]]:
        """These attributes of all items of a hot table, by a consistent scan."""
        table = self.conf.table(hot)
        paginator = clients.listening(self.conf, "dynamodb").get_paginator("scan")
        try:
            for page in paginator.paginate(
                TableName=table,
                ConsistentRead=True,
                ProjectionExpression=", ".join(f"#{name}" for name in names),
                ExpressionAttributeNames={f"#{name}": name for name in names},
            ):
                yield from page["Items"]
        except (ClientError, BotoCoreError) as error:
            raise Unreachable(f"DynamoDB table {table} cannot be read ({error}): {UP}") from None

    def ledger(self, columns: list[str]) -> pa.Table:
        return self.parquet(tables.LEDGER, columns)

    def archive(self, columns: list[str]) -> pa.Table:
        return self.parquet(tables.ARCHIVE, columns)

    def parquet(self, history: History, columns: list[str]) -> pa.Table:
        """Every finished file of a history; one that goes while we read is looked for again."""
        bucket, prefix = open_bucket(self.conf), self.conf.prefix(history)
        for _ in range(5):
            listed = list(visible(bucket.files(f"{prefix}/"), prefix))
            missing = [file for file in listed if file not in self._tables]
            with ThreadPoolExecutor(READERS) as pool:
                read = pool.map(lambda file: _read(bucket, file.name, columns), missing)
                found = list(zip(missing, read, strict=True))
            self._tables.update({file: table for file, table in found if table is not None})
            if all(table is not None for _, table in found):
                whole = [self._tables[file] for file in listed]
                nothing = pa.table({name: pa.array([], pa.string()) for name in columns})
                return pa.concat_tables(whole) if whole else nothing
        raise Unreachable(f"files under {bucket.root}/{prefix} keep changing: try again")

    def notices(self) -> NoticeLog:
        """Every notice the notifier knows, and what its file sender wrote, if that is in use."""
        status = {
            item["notice_id"]["S"]: item["status"]["S"]
            for item in self._scan(tables.SENT_NOTICES, "notice_id", "status")
        }
        outbox: Counter[str] = Counter()
        file = Path(self.conf.notify.file or settings.home() / "notices.jsonl")
        if self.conf.notify.sender == "file" and file.exists():
            for line in file.read_bytes().splitlines():
                with suppress(ValueError, LookupError, TypeError):  # cut short by a crash
                    outbox[json.loads(line)["notice_id"]] += 1
        return NoticeLog(status, outbox)

    def dead_letters(self) -> dict[str, tuple[str, bytes]]:
        """(reason, raw bytes) by dead letter id: several jobs may have refused the same record. Without marks
        of what was redriven, which have a letter's key and nothing in them."""
        out: dict[str, tuple[str, bytes]] = {}
        for message in self.messages(topics.DEAD_LETTERS):
            headers = dict(message.headers() or [])
            if "tillstream.reason" not in headers:
                continue
            reason = _text(headers.get("tillstream.reason"))
            out[_text(message.key())] = (reason, message.value() or b"")
        return out

    def passed_on(self) -> Iterator[dict[str, Any]]:
        """Every transaction that the front door has written, as often as it did. What others wrote there,
        which no job takes for one, is left out."""
        for one in self.documents(topics.TRANSACTIONS):
            taxes = one.get("taxes", [])
            if says(one, A_RECEIPT) and isinstance(taxes, list) and all(map(_is_tax, taxes)):
                yield one

    def answers(self) -> Iterator[dict[str, Any]]:
        """What tills were answered about points, as often as it was."""
        return (one for one in self.documents(topics.POINTS_ANSWERS) if says(one, AN_ANSWER))

    def holds(self) -> Iterator[dict[str, Any]]:
        """What the fraud job said of sales, as often as it did; what is no word of it is left out."""
        ahead_ms = self.conf.source.clock_ahead_ms
        found = (
            said(one.value() or b"", one.timestamp()[1], ahead_ms)
            for one in self.messages(topics.HOLDS)
        )
        return (one for one in found if one is not None)

    def documents(self, topic: Topic) -> Iterator[dict[str, Any]]:
        """The JSON objects of a topic; what is none is left out."""
        return _objects(self.messages(topic))

    def accepted(self, topic: Topic) -> Iterator[dict[str, Any]]:
        """The JSON objects of a topic that a job reads, but for those that it has refused."""
        refused = {identity.partition("#")[0] for identity in self.dead_letters()}
        for message in self.messages(topic):
            place = f"{message.topic()}/{message.partition()}/{message.offset()}"
            if f"kafka:{place}" not in refused:
                yield from _objects([message])

    def begins_later(self, topic: Topic) -> bool:
        """Whether the topic no longer holds its first records."""
        ends = watermarks(self.conf, self.conf.topic(topic), self.conf.kafka.bootstrap)
        return any(low for low, _ in ends.values())

    def messages(self, topic: Topic) -> list[Message]:
        """Every committed record of a topic."""
        return list(read_whole(self.conf, "check", self.conf.topic(topic)))


def grouped(table: pa.Table, *key: str) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """A ledger's rows of each key by version. Sorted in Arrow: a million rows are no strain."""
    keys = [(name, "ascending") for name in (*key, "version")]
    batches = table.take(pc.sort_indices(table, sort_keys=keys)).to_batches(max_chunksize=20_000)
    rows = (row for batch in batches for row in batch.to_pylist())
    for of, group in itertools.groupby(rows, operator.itemgetter(*key)):
        yield of, list(group)


def says(document: Mapping[str, Any], what: Says) -> bool:
    """Whether it has these fields, each of its type."""
    return all(type(document.get(name)) is kind for name, kind in what.items())


def _is_tax(tax: Any) -> bool:
    if not isinstance(tax, dict):
        return False
    return says({"rate": "", "added": False, "net": 0} | tax, A_TAX)


def _objects(messages: list[Message]) -> Iterator[dict[str, Any]]:
    for message in messages:
        with suppress(orjson.JSONDecodeError):
            found = orjson.loads(message.value() or b"")
            if isinstance(found, dict):
                yield found


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


def _read(bucket: S3Folder, name: str, columns: list[str]) -> pa.Table | None:
    body = bucket.read(name)
    if body is None:
        return None
    table = parquet.table(body, columns)
    kinds = [pa.int64() if pa.types.is_integer(f.type) else f.type for f in table.schema]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True)))).select(columns)
