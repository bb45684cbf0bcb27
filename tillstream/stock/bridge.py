"""From the stream of the hot stock table to the topic of stock movements.

Shards are read parents first, each from where the last run stopped: the position of a shard is written
to a table once all before it is in Kafka. After a crash some records are read again and make the same
documents with the same ids, which the inventory job knows: a correction counts once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from graphlib import TopologicalSorter
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tillstream.catalog import tables, topics
from tillstream.clients import aws as clients
from tillstream.clients import items
from tillstream.clients.delivery import Writer, open_producer
from tillstream.clients.kafka import client_settings
from tillstream.conf import Conf
from tillstream.errors import Problem
from tillstream.stock.corrections import correction

DONE = "done"  # position of a shard that is closed and read to its end
FLUSH_SECONDS = 30.0


class BridgeError(Problem):
    """The stream or topic cannot be used; one line that names the fix."""


class Bridge:
    """``run`` until ``stop`` is set, or ``once`` through all that is there now."""

    def __init__(self, conf: Conf):
        self._table = conf.table(tables.STOCK)
        self._positions = conf.table(tables.STREAM_POSITIONS)
        self._dynamodb = clients.dynamodb(conf)
        self._streams = clients.dynamodb_streams(conf)
        producer = open_producer(client_settings(conf))
        self._writer = Writer(producer, conf.topic(topics.STOCK_MOVEMENTS))

    def run(self, stop: threading.Event, poll_seconds: float, said: Callable[[str], None]) -> None:
        while not stop.is_set():
            if sent := self.once():
                said(f"{sent} corrections sent")
            stop.wait(poll_seconds)

    def once(self) -> int:
        """Reads to the present end of every shard; the number of corrections sent."""
        try:
            arn = self._arn()
            shards = self._shards(arn)
            positions = {shard: self._position(arn, shard) for shard in shards}
            sent = 0
            for shard in _parents_first(shards):
                if positions[shard] == DONE:
                    continue
                parent = shards[shard].get("ParentShardId")
                if parent in positions and positions[parent] != DONE:
                    continue  # the rest of its parent comes before it
                count, positions[shard] = self._read(arn, shard, positions[shard])
                sent += count
            return sent
        except (ClientError, BotoCoreError) as error:
            raise BridgeError(
                f"the stream of DynamoDB table {self._table} cannot be read ({error})"
            ) from None

    def _arn(self) -> str:
        arn = self._dynamodb.describe_table(TableName=self._table)["Table"].get("LatestStreamArn")
        if not arn:
            raise BridgeError(
                f"DynamoDB table {self._table} has no stream: enable one with new and old images"
            )
        return arn

    def _shards(self, arn: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        page: dict[str, Any] = {}
        while True:
            last = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]} if page else {}
            page = self._streams.describe_stream(StreamArn=arn, **last)["StreamDescription"]
            found |= {shard["ShardId"]: shard for shard in page["Shards"]}
            if "LastEvaluatedShardId" not in page:
                return found

    def _read(self, arn: str, shard: str, position: str | None) -> tuple[int, str | None]:
        """Sends what is new in a shard; its new position is stored before this returns."""
        iterator = self._iterator(arn, shard, position)
        sent, start = 0, position
        while iterator:
            answer = self._streams.get_records(ShardIterator=iterator, Limit=1000)
            for record in answer["Records"]:
                position = record["dynamodb"]["SequenceNumber"]
                if made := correction(record):
                    self._writer.send(*made)
                    sent += 1
            iterator = answer.get("NextShardIterator")
            if not answer["Records"]:
                break
        if iterator is None:
            position = DONE
        if position != start:
            if problem := self._writer.flush(FLUSH_SECONDS):
                topic = self._writer.topic
                raise BridgeError(f"Kafka does not take records for {topic} ({problem})")
            self._remember(arn, shard, position)
        return sent, position

    def _iterator(self, arn: str, shard: str, position: str | None) -> str:
        kind: dict[str, str] = {"ShardIteratorType": "TRIM_HORIZON"}
        if position:
            kind = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position}
        try:
            asked = self._streams.get_shard_iterator(StreamArn=arn, ShardId=shard, **kind)
        except self._streams.exceptions.TrimmedDataAccessException:
            # Away for more than the 24 hours a stream keeps: what is left is read.
            asked = self._streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
            )
        return asked["ShardIterator"]

    def _position(self, arn: str, shard: str) -> str | None:
        kept = items.get(self._dynamodb, self._positions, shard=f"{arn}/{shard}")
        return kept["position"] if kept else None

    def _remember(self, arn: str, shard: str, position: str | None) -> None:
        item = items.typed({"shard": f"{arn}/{shard}", "position": position or ""})
        self._dynamodb.put_item(TableName=self._positions, Item=item)


def _parents_first(shards: dict[str, dict[str, Any]]) -> list[str]:
    """Each shard after its parent, where that is still there."""
    parents = {
        name: {shard.get("ParentShardId", "")} & shards.keys() for name, shard in shards.items()
    }
    return list(TopologicalSorter(parents).static_order())
