"""What the platform holds: hot balances, ledger and archive files, dead letters."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from tillstream import conf as settings
from tillstream.catalog import tables, topics
from tillstream.catalog.resources import History, Topic
from tillstream.check.notices import NoticeLog
from tillstream.clients import aws as clients
from tillstream.clients.kafka import reader_settings
from tillstream.conf import Conf
from tillstream.errors import Problem

READERS = 8
KAFKA_SECONDS = 8.0
UP = "run `tillstream status`, then `tillstream up`"


class Unreachable(Problem):
    """A store does not answer or is not there; the message is one line that names the fix."""


class Platform:
    """Reads everything over the network. Parquet files are fetched once and kept, as they never change."""

    def __init__(self, conf: Conf) -> None:
        self.conf = conf
        self._tables: dict[tuple[str, str], pa.Table] = {}

    def balances(self) -> dict[str, tuple[int, int]]:
        """(balance, version) by customer, by a consistent scan of the hot table."""
        table = self.conf.table(tables.BALANCES)
        _reach("DynamoDB", self.conf.dynamodb.endpoint)
        pages = clients.dynamodb(self.conf).get_paginator("scan")
        names = {"#c": "customer_id", "#b": "balance", "#v": "version"}
        out: dict[str, tuple[int, int]] = {}
        try:
            for page in pages.paginate(
                TableName=table,
                ConsistentRead=True,
                ProjectionExpression="#c, #b, #v",
                ExpressionAttributeNames=names,
            ):
                for item in page["Items"]:
                    out[item["customer_id"]["S"]] = (
                        int(item["balance"]["N"]),
                        int(item["version"]["N"]),
                    )
        except (ClientError, BotoCoreError) as error:
            raise Unreachable(f"DynamoDB table {table} cannot be read ({error}): {UP}") from None
        return out

    def stock(self) -> dict[tuple[int, str], tuple[int, int]]:
        """(level, version) by store and product, by a consistent scan of the hot table."""
        table = self.conf.table(tables.STOCK)
        _reach("DynamoDB", self.conf.dynamodb.endpoint)
        pages = clients.dynamodb(self.conf).get_paginator("scan")
        out: dict[tuple[int, str], tuple[int, int]] = {}
        try:
            for page in pages.paginate(TableName=table, ConsistentRead=True):
                for item in page["Items"]:
                    key = int(item["store"]["S"]), item["product"]["S"]
                    out[key] = int(item["quantity"]["N"]), int(item["version"]["N"])
        except (ClientError, BotoCoreError) as error:
            raise Unreachable(f"DynamoDB table {table} cannot be read ({error}): {UP}") from None
        return out

    def parquet(self, history: History, columns: list[str]) -> pa.Table:
        """All rows of a history."""
        return self._parquet(self.conf.prefix(history), columns)

    def stock_ledger(self, columns: list[str]) -> pa.Table:
        return self._parquet(self.conf.prefix(tables.STOCK_LEDGER), columns)

    def ledger(self, columns: list[str]) -> pa.Table:
        return self._parquet(self.conf.prefix(tables.LEDGER), columns)

    def archive(self, columns: list[str]) -> pa.Table:
        return self._parquet(self.conf.prefix(tables.ARCHIVE), columns)

    def _parquet(self, prefix: str, columns: list[str]) -> pa.Table:
        """Every finished file under ``prefix``; one that goes while we read is looked for again."""
        _reach("S3", self.conf.s3.endpoint)
        client = clients.s3(self.conf, pool=READERS)
        bucket = self.conf.s3.bucket
        try:
            for _ in range(5):
                listed = list(_finished(client, bucket, prefix))
                missing = [file for file in listed if file not in self._tables]
                with ThreadPoolExecutor(READERS) as pool:
                    read = pool.map(lambda f: _read(client, bucket, f[0], columns), missing)
                    found = list(zip(missing, read, strict=True))
                self._tables.update({file: table for file, table in found if table is not None})
                if all(table is not None for _, table in found):
                    tables = [self._tables[file] for file in listed]
                    return pa.concat_tables(tables) if tables else _empty(columns)
        except (ClientError, BotoCoreError) as error:
            raise Unreachable(f"S3 bucket {bucket} cannot be read ({error}): {UP}") from None
        raise Unreachable(f"files under s3://{bucket}/{prefix} keep changing: try again")

    def notices(self) -> NoticeLog:
        """Every notice the notifier knows, and what its file sender wrote, if that is in use."""
        table = self.conf.table(tables.SENT_NOTICES)
        _reach("DynamoDB", self.conf.dynamodb.endpoint)
        pages = clients.dynamodb(self.conf).get_paginator("scan")
        names = {"#s": "status"}
        status: dict[str, str] = {}
        try:
            for page in pages.paginate(
                TableName=table,
                ConsistentRead=True,
                ProjectionExpression="notice_id, #s",
                ExpressionAttributeNames=names,
            ):
                status |= {item["notice_id"]["S"]: item["status"]["S"] for item in page["Items"]}
        except (ClientError, BotoCoreError) as error:
            raise Unreachable(f"DynamoDB table {table} cannot be read ({error}): {UP}") from None
        outbox: Counter[str] = Counter()
        file = Path(self.conf.notify.file or settings.home() / "notices.jsonl")
        if self.conf.notify.sender == "file" and file.exists():
            lines = file.read_bytes().splitlines()
            outbox = Counter(json.loads(line)["notice_id"] for line in lines)
        return NoticeLog(status, outbox)

    def dead_letters(self) -> dict[str, tuple[str, bytes]]:
        """(reason, raw bytes) by dead letter id: several jobs may have refused the same record."""
        out: dict[str, tuple[str, bytes]] = {}
        for message in self.messages(topics.DEAD_LETTERS):
            headers = dict(message.headers() or [])
            reason = _text(headers.get("tillstream.reason"))
            out[_text(message.key())] = (reason, message.value() or b"")
        return out

    def messages(self, topic: Topic) -> list[Message]:
        """Every committed record of a topic."""
        name = self.conf.topic(topic)
        consumer = Consumer(
            {
                **reader_settings(self.conf, "check"),
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )
        try:
            return _drain(consumer, name)
        except KafkaException as error:
            raise Unreachable(
                f"Kafka at {self.conf.kafka.bootstrap} cannot be read ({error.args[0]}): {UP}"
            ) from None
        finally:
            consumer.close()


def _drain(consumer: Consumer, topic: str) -> list[Message]:
    partitions = consumer.list_topics(topic, timeout=KAFKA_SECONDS).topics[topic].partitions
    if not partitions:
        raise Unreachable(f"Kafka has no topic {topic}: `tillstream up` makes it")
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
    open_ = set(partitions)
    out: list[Message] = []
    answered = time.monotonic()
    while open_:
        # Waits all of its time for a full batch, whatever has come.
        messages = consumer.consume(5000, timeout=0.1)
        if messages:
            answered = time.monotonic()
        elif time.monotonic() - answered > KAFKA_SECONDS:
            raise Unreachable(f"Kafka stopped answering while {topic} was read: {UP}")
        for message in messages:
            error: Any = message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                open_.discard(message.partition())
                continue
            out.append(message)
    return out


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


def _finished(client: Any, bucket: str, prefix: str) -> Iterable[tuple[str, str]]:
    """(key, etag) of the files that are whole: names with a leading dot or underscore are not."""
    for page in client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix + "/"
    ):
        for item in page.get("Contents", ()):
            parts = item["Key"].removeprefix(prefix).split("/")
            if item["Size"] and not any(part.startswith((".", "_")) for part in parts):
                yield item["Key"], item["ETag"]


def _read(client: Any, bucket: str, key: str, columns: list[str]) -> pa.Table | None:
    try:
        body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except client.exceptions.NoSuchKey:
        return None
    # One thread: a pool thread that frees our bytes while Python ends would abort it.
    file = pq.ParquetFile(pa.BufferReader(body))
    table = file.read(columns=columns, use_threads=False)
    kinds = [pa.string() if pa.types.is_string(f.type) else pa.int64() for f in table.schema]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True)))).select(columns)


def _empty(columns: list[str]) -> pa.Table:
    return pa.table({name: pa.array([], pa.string()) for name in columns})


def _reach(what: str, endpoint: str | None) -> None:
    """Fails within seconds where boto3's own retries would take a minute."""
    if endpoint is None:
        return
    address = urlparse(endpoint)
    try:
        socket.create_connection((address.hostname or "", address.port or 443), timeout=5).close()
    except OSError:
        raise Unreachable(f"no {what} answers at {endpoint}: {UP}") from None
