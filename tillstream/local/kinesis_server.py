"""The Kinesis stand-in: moto's server, one request at a time and without a log line for each.

moto gives sequence numbers without a lock: of two puts to a shard at the same moment one overwrites
the other, and both are confirmed. The lock makes a confirmed record a kept one.

Of a shard that is split or merged moto moves or copies the records, under new numbers, and goes on filling
the old shard. In Kinesis they stay where they are, the old shard takes no more, and who has read it to
its end is given no iterator any more. `as_kinesis_reshards` makes it so.
"""

from __future__ import annotations

import argparse
import logging
import threading
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


def as_kinesis_reshards() -> None:
    """For this process's moto."""
    from moto.kinesis import models
    from moto.kinesis.utils import decompose_shard_iterator

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

    def with_an_end(backend: Any, stream_arn: Any, iterator: str, limit: Any) -> Any:
        after, records, behind_ms = get_records(backend, stream_arn, iterator, limit)
        stream_name, shard_id, last = decompose_shard_iterator(after)
        shard = backend.describe_stream(stream_arn, stream_name).get_shard(shard_id)
        ended = not shard.is_open and int(last) >= shard.get_max_sequence_number()
        return None if ended else after, records, behind_ms

    streams.split_shard = records_stay(streams.split_shard)
    streams.merge_shards = records_stay(streams.merge_shards)
    streams.get_shard_for_key = of_open
    backends.get_records = with_an_end


def main() -> None:
    parser = argparse.ArgumentParser(description="Kinesis stand-in on 127.0.0.1.")
    parser.add_argument("-p", "--port", type=int, required=True)
    port = parser.parse_args().port
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    as_kinesis_reshards()
    app = DomainDispatcherApplication(create_backend_app)
    run_simple("127.0.0.1", port, one_at_a_time(app), threaded=True)


if __name__ == "__main__":
    main()
