"""Records put into a Kinesis stream, with a receipt each; and what a stream still holds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from tillstream.clients import aws
from tillstream.clients.retry import RETRY_AFTER_S, Keyed, Receipt, put_again
from tillstream.conf import Conf
from tillstream.errors import Unreachable

BATCH_RECORDS = 500  # Kinesis takes no more in one request
BATCH_BYTES = 4_500_000  # nor more than 5 MB, keys included
RECORD_BYTES = 1_048_576  # and of one record, key included, not more than this
# What a request is answered with for the sake of one record in it.
NOT_VALID = ("ValidationException", "InvalidArgumentException", "ParamValidationError")
TOO_LARGE = "larger than Kinesis takes (1 MiB)"
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


def put(client: Any, stream: str, records: Sequence[Keyed]) -> list[Receipt]:
    """A receipt for each (key, data), in the order given: at most a batch of them. Only those that
    failed are put again, after 0.1, 0.2 and 0.4 s."""
    receipts = [Receipt(None, TOO_LARGE)] * len(records)
    fit = [n for n, (key, data) in enumerate(records) if size(key, data) <= RECORD_BYTES]
    put_once = partial(put_records, client, stream)
    found = put_again(put_once, [records[n] for n in fit], RETRY_AFTER_S, time.sleep)
    for n, receipt in zip(fit, found, strict=True):
        receipts[n] = receipt
    return receipts


def size(key: str, data: bytes) -> int:
    """Bytes of a record as Kinesis counts them."""
    return len(key.encode()) + len(data)


def put_records(
    client: Any, stream: str, records: Sequence[Keyed], kinds: bool = False
) -> list[Receipt]:
    """One request, a receipt for each. Where there is no answer they may have been taken: nobody knows, so
    they count as failed. kinds: errors are a code or a name, without texts, which may repeat a key."""
    asked = [{"Data": data, "PartitionKey": key} for key, data in records]
    try:
        answer = client.put_records(StreamName=stream, Records=asked)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "ClientError")
        return [Receipt(None, code if kinds else str(error))] * len(records)
    except BotoCoreError as error:
        said = type(error).__name__ if kinds else str(error)
        return [Receipt(None, said)] * len(records)
    receipts = [_receipt(stream, said) for said in answer["Records"]]
    if kinds:
        receipts = [Receipt(o, e and e.partition(":")[0]) for o, e, _ in receipts]
    return receipts


def _receipt(stream: str, said: dict[str, str]) -> Receipt:
    if code := said.get("ErrorCode"):
        return Receipt(None, f"{code}: {said.get('ErrorMessage')}")
    return Receipt(f"kinesis:{stream}/{said['ShardId']}/{said['SequenceNumber']}", None)
