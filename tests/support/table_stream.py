"""A table with a stream, a table of positions and a Kafka, as the bridge sees them, on a clock of their own.

Of the stream what its contract promises and no more: shards whose parents come first, pages that may be
empty anywhere, iterators that expire, records that are trimmed. Any call may fail, before or after it has
done its work, or be the last one of its process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from confluent_kafka import KafkaError

from tillstream.clients.delivery import Writer
from tillstream.stock.bridge import Bridge, Writers
from tillstream.stock.stream import DONE, TableStream

ARN = "arn:aws:dynamodb:af-south-1:1:table/stock/stream/2025-11-25T00:00:00.000"
START_S = 1_764_072_000.0
TABLE, POSITIONS, MOVEMENTS, LETTERS = "stock", "positions", "movements", "letters"


class Crash(BaseException):
    """The process is dead from here."""


def refused(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "of a test"},
                   "ResponseMetadata": {"HTTPStatusCode": status}}  # fmt: skip
    return ClientError(answer, "Call")


FAULTS: dict[str, Callable[[], BaseException]] = {
    "throttled": lambda: refused("ProvisionedThroughputExceededException"),
    "slow down": lambda: refused("ThrottlingException"),
    "too many readers": lambda: refused("LimitExceededException"),
    "server's fault": lambda: refused("InternalServerError", 500),
    "no connection": lambda: EndpointConnectionError(endpoint_url="http://nowhere"),
    "lost answer": lambda: ReadTimeoutError(endpoint_url="http://nowhere"),
    "crash": Crash,
}


@dataclass
class FakeShard:
    """records: None stands for a page without any."""

    name: str
    parent: str | None = None
    records: list[dict[str, Any] | None] = field(default_factory=list)
    closed: bool = False
    trimmed: int = 0  # so many of its records are gone
    says_end: bool = False  # though it is open


class World:
    """What outlives the bridge's process; `bridge` makes another of these."""

    def __init__(self) -> None:
        self.now_s = START_S
        self.shards: dict[str, FakeShard] = {"shard-0": FakeShard("shard-0")}
        self.sequence = 0
        self.positions: dict[str, str] = {}
        self.generation = 0  # iterators of an earlier one have expired
        self.page_size = 3
        self.topics: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
        self.kafka_is_back_s = 0.0
        self.kafka_refuses_after: int | None = None
        # Calls to go -> what becomes of it, and whether its work is done all the same.
        self.faults: dict[int, tuple[str, bool]] = {}
        self.calls = 0
        self.said: list[str] = []
        self.reads: list[str] = []  # shards, as pages of them were asked for
        self.read_to: dict[str, int] = {}  # shard -> how far its last page went
        self.remembered: Callable[[str, str], None] = lambda shard, position: None

    # -- what the test does ------------------------------------------------------------------------

    def open_shards(self) -> list[FakeShard]:
        return [shard for shard in self.shards.values() if not shard.closed]

    def write(self, shard: FakeShard, new: dict | None, old: dict | None = None) -> str:
        """Puts a record; its sequence number."""
        self.sequence += 1
        number = f"{self.sequence:021d}"
        change: dict[str, Any] = {
            "SequenceNumber": number,
            "ApproximateCreationDateTime": datetime.fromtimestamp(int(self.now_s), UTC),
        }
        change |= {"NewImage": new} if new is not None else {}
        change |= {"OldImage": old} if old is not None else {}
        shard.records.append({"dynamodb": change})
        return number

    def fail(self, kind: str, after: int = 0, done: bool = False) -> None:
        """Of the calls from now, the one after ``after`` others fails."""
        self.faults[self.calls + after] = (kind, done)

    def call(self, work: Callable[[], Any]) -> Any:
        fault, done = self.faults.pop(self.calls, ("", True))
        self.calls += 1
        self.now_s += 0.01
        answer = work() if done else None
        if fault:
            raise FAULTS[fault]()
        return answer

    def stop_after(self, seconds: float) -> Any:
        return _Stop(self, self.now_s + seconds)

    def bridge(self, seconds: float = 1e9) -> Bridge:
        """A process of the bridge, told to stop after so long."""
        stream = TableStream(_Tables(self), _Streams(self), TABLE, POSITIONS, self.said.append)

        def writers() -> Writers:
            producer: Any = _Producer(self)
            return Writers(Writer(producer, MOVEMENTS), Writer(producer, LETTERS))

        return Bridge(
            stream,
            writers,
            self.said.append,
            self.stop_after(seconds),
            clock=lambda: self.now_s,
            now_ms=lambda: int(self.now_s * 1000),
        )


class UntilRead:
    """An event that is set once every shard has been read to its present end."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.read_to.clear()

    def is_set(self) -> bool:
        world = self._world
        return all(
            world.positions.get(f"{ARN}/{name}") == DONE
            or (not shard.closed and world.read_to.get(name, 0) >= len(shard.records))
            for name, shard in world.shards.items()
        )

    def wait(self, seconds: float) -> bool:
        self._world.now_s += seconds
        return self.is_set()


class _Stop:
    """An event that is set at a time."""

    def __init__(self, world: World, at_s: float) -> None:
        self._world, self._at_s = world, at_s

    def is_set(self) -> bool:
        return self._world.now_s >= self._at_s

    def wait(self, seconds: float) -> bool:
        self._world.now_s += min(seconds, max(self._at_s - self._world.now_s, 0.0))
        return self.is_set()


class _Tables:
    def __init__(self, world: World) -> None:
        self._world = world

    def describe_table(self, TableName: str) -> Any:
        return self._world.call(lambda: {"Table": {"LatestStreamArn": ARN}})

    def get_item(self, TableName: str, Key: Any, ConsistentRead: bool) -> Any:
        def work() -> Any:
            shard = Key["shard"]["S"]
            position = self._world.positions.get(shard)
            if position is None:
                return {}
            return {"Item": {"shard": {"S": shard}, "position": {"S": position}}}

        assert ConsistentRead
        return self._world.call(work)

    def get_paginator(self, operation: str) -> Any:
        assert operation == "scan"

        def paginate(TableName: str, ConsistentRead: bool) -> Any:
            def work() -> Any:
                return {"Items": [{"shard": {"S": shard}, "position": {"S": position}}
                                  for shard, position in self._world.positions.items()]}  # fmt: skip

            assert ConsistentRead
            return [self._world.call(work)]

        return SimpleNamespace(paginate=paginate)

    def put_item(self, TableName: str, Item: Any) -> None:
        def work() -> None:
            shard, position = Item["shard"]["S"], Item["position"]["S"]
            self._world.remembered(shard.rpartition("/")[2], position)
            self._world.positions[shard] = position

        self._world.call(work)


class _Streams:
    def __init__(self, world: World) -> None:
        self._world = world

    def describe_stream(self, StreamArn: str, ExclusiveStartShardId: str = "") -> Any:
        """Two shards a page."""

        def work() -> Any:
            after = [n for n in sorted(self._world.shards) if n > ExclusiveStartShardId]
            found = [self._world.shards[name] for name in after[:2]]
            answer: dict[str, Any] = {
                "StreamViewType": "NEW_AND_OLD_IMAGES",
                "Shards": [
                    {"ShardId": shard.name, "SequenceNumberRange": _range(shard)}
                    | ({"ParentShardId": shard.parent} if shard.parent else {})
                    for shard in found
                ],
            }
            if len(after) > 2:
                answer["LastEvaluatedShardId"] = found[-1].name
            return {"StreamDescription": answer}

        return self._world.call(work)

    def get_shard_iterator(
        self, StreamArn: str, ShardId: str, ShardIteratorType: str, SequenceNumber: str = ""
    ) -> Any:
        def work() -> Any:
            shard = self._world.shards.get(ShardId)
            if shard is None:
                raise refused("ResourceNotFoundException")
            at = shard.trimmed
            if ShardIteratorType == "AFTER_SEQUENCE_NUMBER":
                at = 1 + next(
                    n for n, record in enumerate(shard.records)
                    if record and record["dynamodb"]["SequenceNumber"] == SequenceNumber
                )  # fmt: skip
                if at <= shard.trimmed:
                    raise refused("TrimmedDataAccessException")
            return {"ShardIterator": f"{ShardId}|{at}|{self._world.generation}"}

        return self._world.call(work)

    def get_records(self, ShardIterator: str, Limit: int) -> Any:
        name, at, generation = ShardIterator.split("|")
        self._world.reads.append(name)
        return self._world.call(lambda: self._page(name, int(at), int(generation)))

    def _page(self, name: str, at: int, generation: int) -> Any:
        world = self._world
        shard = world.shards.get(name)
        if shard is None:
            raise refused("ResourceNotFoundException")
        if generation != world.generation:
            raise refused("ExpiredIteratorException")
        if at < shard.trimmed:
            raise refused("TrimmedDataAccessException")
        page: list[dict[str, Any]] = []
        while at < len(shard.records) and len(page) < world.page_size:
            record = shard.records[at]
            at += 1
            if record is None:
                break
            page.append(record)
        world.read_to[name] = at
        answer: dict[str, Any] = {"Records": page}
        if not shard.closed or at < len(shard.records):
            answer["NextShardIterator"] = f"{name}|{at}|{world.generation}"
        return answer


def _range(shard: FakeShard) -> dict[str, str]:
    begin = {"StartingSequenceNumber": "0"}
    return begin | ({"EndingSequenceNumber": "9"} if shard.closed or shard.says_end else {})


class _Producer:
    """librdkafka's, of which every record is delivered in order or given up with all after it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._queue: list[tuple[str, str, bytes, Any]] = []

    def produce(
        self, topic: str, value: bytes, key: bytes, on_delivery: Any, headers: Any = None
    ) -> None:
        self._queue.append((topic, key.decode(), value, on_delivery))

    def poll(self, seconds: float) -> None:
        pass

    def purge(self) -> None:
        self._queue.clear()

    def flush(self, seconds: float) -> int:
        if self._queue and self._world.now_s < self._world.kafka_is_back_s:
            self._world.now_s += seconds
            return len(self._queue)
        refused_after, self._world.kafka_refuses_after = self._world.kafka_refuses_after, None
        for n, (topic, key, value, on_delivery) in enumerate(self._queue):
            if refused_after is not None and n >= refused_after:
                message = SimpleNamespace(key=key.encode, value=lambda value=value: value)
                on_delivery(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), message)
            else:
                self._world.call(lambda: self._world.topics[topic].append((key, value)))  # noqa: B023
                on_delivery(None, None)
        self._queue.clear()
        return 0
