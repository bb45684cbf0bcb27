"""Records put into a Kinesis stream, with a receipt each; and what a stream still holds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from tillstream.clients import aws
from tillstream.clients.delivery import Receipt
from tillstream.conf import Conf
from tillstream.errors import Unreachable

RETRY_AFTER_S = (0.1, 0.2, 0.4)
BATCH_RECORDS = 500  # Kinesis takes no more in one request
BATCH_BYTES = 4_500_000  # nor more than 5 MB, keys included
RECORD_BYTES = 1_048_576  # and of one record, key included, not more than this
HOUR_MS = 3_600_000
LOOKS = 200  # at a shard, for its first record
LOOK_EVERY_S = 0.21  # five times a second and shard


class Kept(NamedTuple):
    """One record of a shard, by its sequence number and when it arrived (ms UTC)."""

    sequence: int
    arrived_ms: int


def open_stream(conf: Conf) -> Any:
    """A client, after a look at the stream that conf.source names. Raises Unreachable."""
    client, stream = aws.listening(conf, "kinesis"), conf.source.kinesis.stream
    try:
        client.describe_stream_summary(StreamName=stream)
    except (BotoCoreError, ClientError) as error:
        raise Unreachable(
            f"Kinesis stream {stream} cannot be written ({error}): `tillstream up` starts the local "
            "stack and makes it, or correct source.kinesis and the credentials"
        ) from None
    return client


def oldest_ms(client: Any, stream: str, now_ms: int) -> int:
    """What arrived at or after this time (ms UTC) is kept, as far as can be known."""
    summary = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    made_ms = int(summary["StreamCreationTimestamp"].timestamp() * 1000)
    return max(made_ms, now_ms - int(summary["RetentionPeriodHours"]) * HOUR_MS)


def shards(client: Any, stream: str) -> list[str]:
    """Shards of which records may be kept, closed ones too."""
    pages = client.get_paginator("list_shards").paginate(StreamName=stream)
    return [shard["ShardId"] for page in pages for shard in page["Shards"]]


def first_kept(
    client: Any, stream: str, shard: str, at: int | None = None, after: bool = False
) -> Kept | None:
    """The first record of the shard that is kept: of all, or of those from sequence number ``at`` on
    (``after``: beyond it). None where none is, or where the shard or the number is unknown."""
    where: dict[str, str] = {"ShardIteratorType": "TRIM_HORIZON"}
    if at is not None:
        kind = "AFTER_SEQUENCE_NUMBER" if after else "AT_SEQUENCE_NUMBER"
        where = {"ShardIteratorType": kind, "StartingSequenceNumber": str(at)}
    unknown = (
        client.exceptions.ResourceNotFoundException,
        client.exceptions.InvalidArgumentException,
    )
    try:
        found = client.get_shard_iterator(StreamName=stream, ShardId=shard, **where)
    except unknown:
        return None
    iterator = found["ShardIterator"]
    for _ in range(LOOKS):
        answer = client.get_records(ShardIterator=iterator, Limit=1)
        for record in answer["Records"]:
            arrived_ms = int(record["ApproximateArrivalTimestamp"].timestamp() * 1000)
            return Kept(int(record["SequenceNumber"]), arrived_ms)
        iterator = answer.get("NextShardIterator")
        if not iterator or not answer.get("MillisBehindLatest"):
            return None
        time.sleep(LOOK_EVERY_S)
    raise Unreachable(f"shard {shard} of {stream} gives no record: try again")


def put(client: Any, stream: str, records: Sequence[tuple[str, bytes]]) -> list[Receipt]:
    """A receipt for each (key, data), in the order given: at most a batch of them. Only those that
    failed are put again, after 0.1, 0.2 and 0.4 s."""
    receipts = [Receipt(None, "larger than Kinesis takes (1 MiB)")] * len(records)
    sizes = [len(data) + len(key) for key, data in records]
    waiting = [n for n, size in enumerate(sizes) if size <= RECORD_BYTES]
    for wait_s in (0, *RETRY_AFTER_S):
        if not waiting:
            break
        time.sleep(wait_s)
        asked = [{"Data": records[n][1], "PartitionKey": records[n][0]} for n in waiting]
        for n, receipt in zip(waiting, _put(client, stream, asked), strict=True):
            receipts[n] = receipt
        waiting = [n for n in waiting if receipts[n].error]
    return receipts


def _put(client: Any, stream: str, records: list[dict[str, Any]]) -> list[Receipt]:
    try:
        answer = client.put_records(StreamName=stream, Records=records)
    except (BotoCoreError, ClientError) as error:
        # They may have been taken: nobody knows, so they count as failed.
        return [Receipt(None, str(error))] * len(records)
    return [_receipt(stream, said) for said in answer["Records"]]


def _receipt(stream: str, said: dict[str, str]) -> Receipt:
    if code := said.get("ErrorCode"):
        return Receipt(None, f"{code}: {said.get('ErrorMessage')}")
    return Receipt(f"kinesis:{stream}/{said['ShardId']}/{said['SequenceNumber']}", None)
