"""The Kinesis stand-in: moto's server, one request at a time and without a log line for each.

moto gives sequence numbers without a lock: of two puts to a shard at the same moment one overwrites
the other, and both are confirmed. The lock makes a confirmed record a kept one.

Of a shard that is split or merged moto moves or copies the records, under new numbers, and goes on filling
the old shard. In Kinesis they stay where they are, the old shard takes no more, and who has read it to
its end is given no iterator any more. And Kinesis keeps a record for the stream's retention: who asks for
what follows one that is trimmed gets the oldest kept, and no word of it. `as_kinesis` makes it so.
"""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from hashlib import md5
from io import BytesIO
from typing import Any


def one_at_a_time(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """``app`` (WSGI) behind a lock; the body is read before, so a slow sender holds up nobody."""
    lock = threading.Lock()

    def locked(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(length))
        with lock:
            return list(app(environ, start_response))

    return locked


def as_kinesis(now: Callable[[], float] = time.time) -> None:
    """For this process's moto. ``now``: seconds since the epoch."""
    from moto.kinesis import models
    from moto.kinesis.utils import compose_shard_iterator, decompose_shard_iterator

    def records_stay(reshard: Callable[..., None]) -> Callable[..., None]:
        def resharded(stream: Any, *shards: str) -> None:
            old = [stream.shards[name] for name in shards if name in stream.shards]
            kept = [shard.records for shard in old]
            for shard in old:
                shard.records = OrderedDict()
            try:
                reshard(stream, *shards)
            finally:
                for shard, records in zip(old, kept, strict=True):
                    shard.records = records

        return resharded

    def of_open(stream: Any, partition_key: str, explicit_hash_key: str | None) -> Any:
        hashed = int(md5(partition_key.encode()).hexdigest(), 16)
        key = int(explicit_hash_key) if explicit_hash_key else hashed
        return next(
            shard
            for shard in stream.shards.values()
            if shard.is_open and shard.starting_hash <= key <= shard.ending_hash
        )

    kinesis: Any = models
    backends, streams = kinesis.KinesisBackend, kinesis.Stream
    get_records = backends.get_records

    def trimmed(shard: Any, hours: int) -> int:
        """Number of the last record that is not kept. Those are few to look at, or none."""
        oldest_s, last = now() - hours * 3600, 0
        for number, record in shard.records.items():
            if record.created_at >= oldest_s:
                break
            last = number
        return last

    def as_it_is_kept(backend: Any, stream_arn: Any, iterator: str, limit: Any) -> Any:
        stream_name, shard_id, last = decompose_shard_iterator(iterator)
        stream = backend.describe_stream(stream_arn, stream_name)
        shard = stream.get_shard(shard_id)
        start = max(int(last), trimmed(shard, stream.retention_period_hours))
        iterator = compose_shard_iterator(stream_name, shard, start)
        after, records, behind_ms = get_records(backend, stream_arn, iterator, limit)
        if behind_ms:  # moto's are behind the newest record, Kinesis's behind now
            behind_ms = int((now() - records[-1].created_at) * 1000)
        last = decompose_shard_iterator(after)[-1]
        ended = not shard.is_open and int(last) >= shard.get_max_sequence_number()
        return None if ended else after, records, behind_ms

    streams.split_shard = records_stay(streams.split_shard)
    streams.merge_shards = records_stay(streams.merge_shards)
    streams.get_shard_for_key = of_open
    backends.get_records = as_it_is_kept


def main() -> None:
    parser = argparse.ArgumentParser(description="Kinesis stand-in on 127.0.0.1.")
    parser.add_argument("-p", "--port", type=int, required=True)
    port = parser.parse_args().port
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    as_kinesis()
    app = DomainDispatcherApplication(create_backend_app)
    run_simple("127.0.0.1", port, one_at_a_time(app), threaded=True)


if __name__ == "__main__":
    main()
