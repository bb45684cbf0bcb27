"""The stream of a DynamoDB table: its shards, parents first, each read from where it was left.

Where a shard was left is in a table of its own. A page without records says nothing: a shard that is open
has no end, and one has to go on with what the page names as next.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from tillstream.clients import items
from tillstream.errors import Problem

DONE = "done"  # position of a shard that is closed and read to its end
PAGE = 1000
EMPTY_PAGES = 10  # after so many in a row an open shard is asked at leisure
ONCE_EMPTY_PAGES = 100  # after so many its end is taken to be reached by who does not wait for more
FRESH_MS = 10_000  # a shard whose newest record is younger has been read to its end


class BridgeError(Problem):
    """The stream or topic cannot be used; one line that names the fix."""


class ShardGone(Exception):
    """The stream has no such shard any more: it kept it for 24 hours."""


@dataclass
class Turn:
    """What is done over and over: not before ``ready_at``, and how often it has failed in a row."""

    ready_at: float = 0.0
    failures: int = 0


@dataclass
class Shard(Turn):
    """position: sequence number of the last record handed on, empty before the first, or DONE.
    empty: pages in a row without records. newest_ms: when its last record was written, as the stream
    has it."""

    name: str = ""
    parent: str | None = None
    closed: bool = False
    position: str = ""
    iterator: str | None = None
    empty: int = 0
    newest_ms: int = 0

    def behind(self, now_ms: int) -> bool:
        """Whether more may be there already: it is asked for at once."""
        return self.closed or (self.empty < EMPTY_PAGES and now_ms - self.newest_ms > FRESH_MS)

    def has_all_of(self, at_ms: int) -> bool:
        """Whether all that was written before ``at_ms`` is read."""
        if self.closed or self.position == DONE:
            return self.position == DONE
        return self.empty >= ONCE_EMPTY_PAGES or self.newest_ms > at_ms


class Page(NamedTuple):
    """``next``: iterator of the page after it; None at the end of a closed shard."""

    records: list[dict[str, Any]]
    next: str | None


class TableStream:
    """``dynamodb``, ``streams``: boto3 clients. ``said`` gets what a person should know. Whatever asks
    AWS may raise botocore's errors."""

    def __init__(
        self, dynamodb: Any, streams: Any, table: str, positions: str, said: Callable[[str], None]
    ) -> None:
        self.table = table
        self._dynamodb, self._streams, self._positions = dynamodb, streams, positions
        self._said = said
        self._arn = ""
        self.shards: dict[str, Shard] = {}
        self._known: dict[str, Shard] = {}  # with those of a list that broke off

    def refresh(self) -> None:
        """Looks for new shards, and forgets those that are no longer there. Raises BridgeError."""
        arn = self._dynamodb.describe_table(TableName=self.table)["Table"].get("LatestStreamArn")
        found: dict[str, dict[str, Any]] = {}
        last: dict[str, str] = {}
        view = None
        while arn:
            page = self._streams.describe_stream(StreamArn=arn, **last)["StreamDescription"]
            view = page["StreamViewType"]
            found |= {shard["ShardId"]: shard for shard in page["Shards"]}
            if "LastEvaluatedShardId" not in page:
                break
            last = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}
        if view != "NEW_AND_OLD_IMAGES":
            raise BridgeError(
                f"DynamoDB table {self.table} has no stream of new and old images: enable one"
            )
        self._tell_gone(arn, found.keys())
        self._arn = arn
        for name, shard in found.items():
            if name not in self._known:
                self._known[name] = self._shard(name, shard.get("ParentShardId"))
            ends = shard.get("SequenceNumberRange", {})
            # dynoxide names its one shard by the table, and says an end of it though it never closes.
            of_dynoxide = name.endswith(f"-{self.table}")
            self._known[name].closed = "EndingSequenceNumber" in ends and not of_dynoxide
        self.shards = self._known = {name: self._known[name] for name in found}

    def _tell_gone(self, arn: str, there: Set[str]) -> None:
        """Of shards that were not read to their end the stream may have dropped records. It takes an old
        shard off its list, so nobody is refused who begins with the next."""
        if self._arn == arn:
            left = {shard.name for shard in self._known.values() if shard.position != DONE}
        else:
            kept = ((one["shard"].rpartition("/"), one["position"])
                    for one in items.scan(self._dynamodb, self._positions))  # fmt: skip
            left = {name for (of, _, name), position in kept if of == arn and position != DONE}
        for name in sorted(left - there):
            self._tell_missed(name)
            self._remember(arn, name, DONE)  # it is said once

    def _tell_missed(self, shard: str) -> None:
        self._said(
            f"shard {shard} was left more than the 24 hours ago that a stream keeps: corrections since "
            "then may be missing, count again"
        )

    def _remember(self, arn: str, shard: str, position: str) -> None:
        item = items.typed({"shard": f"{arn}/{shard}", "position": position})
        self._dynamodb.put_item(TableName=self._positions, Item=item)

    def _shard(self, name: str, parent: str | None) -> Shard:
        kept = items.get(self._dynamodb, self._positions, shard=f"{self._arn}/{name}")
        return Shard(name=name, parent=parent, position=kept["position"] if kept else "")

    def readable(self) -> list[Shard]:
        """Shards that are not read to their end and whose parent is, or is no longer there."""
        done = {name for name, shard in self.shards.items() if shard.position == DONE}
        return [
            shard
            for name, shard in self.shards.items()
            if name not in done and (shard.parent in done or shard.parent not in self.shards)
        ]

    def read(self, shard: Shard) -> Page:
        """The page that comes next. Raises ShardGone."""
        try:
            shard.iterator = shard.iterator or self._iterator(shard)
            answer = self._streams.get_records(ShardIterator=shard.iterator, Limit=PAGE)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ResourceNotFoundException":
                raise ShardGone("it is no longer there") from None
            if code in ("ExpiredIteratorException", "TrimmedDataAccessException"):
                shard.iterator, shard.empty = None, 0  # of the position it gets another
            raise
        return Page(answer["Records"], answer.get("NextShardIterator"))

    def handed_on(self, shard: Shard, page: Page) -> None:
        """Remembers that ``page`` need not be read again. Should it raise, it is read again."""
        position = shard.position
        if page.records:
            position = page.records[-1]["dynamodb"]["SequenceNumber"]
        if page.next is None:
            position = DONE
        if position != shard.position:
            self._remember(self._arn, shard.name, position)
        shard.position, shard.iterator = position, page.next
        shard.empty = 0 if page.records else shard.empty + 1
        if page.records:
            written = page.records[-1]["dynamodb"].get("ApproximateCreationDateTime")
            shard.newest_ms = int(written.timestamp() * 1000) if written else 0

    def _iterator(self, shard: Shard) -> str:
        where = {"StreamArn": self._arn, "ShardId": shard.name}
        ask = self._streams.get_shard_iterator
        if shard.position:
            try:
                return ask(
                    **where,
                    ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                    SequenceNumber=shard.position,
                )["ShardIterator"]
            except ClientError as error:
                if error.response["Error"]["Code"] != "TrimmedDataAccessException":
                    raise
                self._tell_missed(shard.name)
        return ask(**where, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
