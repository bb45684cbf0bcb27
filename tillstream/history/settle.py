"""After a replay: what the job wrote to S3 before it, and again in it, is set aside.

A replay from a savepoint writes again whatever the job had written after that savepoint. Files close
at checkpoints, so a file lies wholly before or wholly after a savepoint; ids in the rows tell which.
"""

from __future__ import annotations

import io
from collections import defaultdict
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tillstream import catalog
from tillstream.catalog.resources import History
from tillstream.clients import aws as clients
from tillstream.clients import parquet
from tillstream.conf import Conf
from tillstream.history.files import CLOCKS_MS, File, finished

ASIDE = "_replayed"  # readers skip names that begin with an underscore


class Settled(NamedTuple):
    """Files and rows that are no longer read, for the replay wrote the rows again."""

    files: int
    rows: int


def s3_now_ms(conf: Conf) -> int:
    """What S3's own clock says, which dates its files."""
    from email.utils import parsedate_to_datetime

    answer = clients.s3(conf).list_objects_v2(Bucket=conf.s3.bucket, MaxKeys=1)
    date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
    return int(parsedate_to_datetime(date).timestamp() * 1000)


def lacking(conf: Conf, files: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Of those (bucket, key): the keys that are nowhere, and those whose upload is still open.

    A savepoint names the files it closed; the job's next checkpoint, or a restore, finishes their
    uploads. Without either file or upload a restore fails.
    """
    client = clients.s3(conf)
    gone: list[str] = []
    unfinished: list[str] = []
    uploads: set[str] | None = None
    for bucket, key in files:
        try:
            client.head_object(Bucket=bucket, Key=key)
            continue
        except client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
        if uploads is None:
            pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
            uploads = {one["Key"] for page in pages for one in page.get("Uploads", ())}
        (unfinished if key in uploads else gone).append(key)
    return gone, unfinished


def settle(conf: Conf, job: str, since_ms: int, boundary_ms: int, replay_id: str) -> Settled:
    """Sets aside rows of files finished in [since, boundary) that files since the boundary repeat.

    ``boundary_ms``: by S3's clock, when the old run had ended and the replay had not begun. Raises
    UnknownJob.
    """
    total = Settled(0, 0)
    for one in catalog.job(job).set_aside:
        found = _settle(conf, one, since_ms, boundary_ms, replay_id)
        total = Settled(total.files + found.files, total.rows + found.rows)
    return total


def _settle(
    conf: Conf, history: History, since_ms: int, boundary_ms: int, replay_id: str
) -> Settled:
    prefix, identity = conf.prefix(history), history.identity
    client = clients.s3(conf)
    folders: dict[str, tuple[list[File], list[File]]] = defaultdict(lambda: ([], []))
    for file in finished(client, conf.s3.bucket, prefix, since_ms - CLOCKS_MS):
        old_and_new = folders[file.key.rpartition("/")[0]]
        old_and_new[file.finished_ms >= boundary_ms].append(file)
    files = rows = 0
    # One event's row lies in the same folder each time, so a folder is settled by itself.
    for old, new in folders.values():
        if not old or not new:
            continue
        chunks = [c for file in new for c in _ids(client, conf, file.key, identity).chunks]
        again = pa.concat_arrays(chunks)
        for file in old:
            repeated = pc.is_in(_ids(client, conf, file.key, identity), value_set=again)
            count = pc.sum(repeated).as_py() or 0
            if not count:
                continue
            if count < len(repeated):
                _keep(client, conf, file.key, pc.invert(repeated), replay_id)
            aside = f"{prefix}/{ASIDE}/{replay_id}{file.key.removeprefix(prefix)}"
            client.copy_object(
                Bucket=conf.s3.bucket,
                Key=aside,
                CopySource={"Bucket": conf.s3.bucket, "Key": file.key},
            )
            client.delete_object(Bucket=conf.s3.bucket, Key=file.key)
            files, rows = files + 1, rows + count
    return Settled(files, rows)


def _ids(client: Any, conf: Conf, key: str, identity: tuple[str, ...]) -> pa.ChunkedArray:
    body = client.get_object(Bucket=conf.s3.bucket, Key=key)["Body"].read()
    table = parquet.table(body, identity)
    parts = [table[name].cast(pa.string()) for name in identity]
    return pc.binary_join_element_wise(*parts, "\n") if len(parts) > 1 else parts[0]


def _keep(client: Any, conf: Conf, key: str, mask: pa.Array, replay_id: str) -> None:
    """Writes the rows of ``mask`` beside the file, which then goes."""
    body = client.get_object(Bucket=conf.s3.bucket, Key=key)["Body"].read()
    out = io.BytesIO()
    pq.write_table(parquet.table(body).filter(mask), out, compression="zstd")
    name = f"{key.removesuffix('.parquet')}-kept-{replay_id}.parquet"
    client.put_object(Bucket=conf.s3.bucket, Key=name, Body=out.getvalue())
