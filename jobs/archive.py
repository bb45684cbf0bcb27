"""Archive: every valid till transaction once to S3 Parquet, by date and region."""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream, KeyedStream, StreamExecutionEnvironment

from tillstream.conf import Conf, load
from tillstream.connectors import batched, s3, sources
from tillstream.jobs import dead_letters
from tillstream.state_schemas.tables import archived_transaction
from tillstream.udfs.archive import ArchiveOnce
from tillstream.udfs.engine import environment
from tillstream.udfs.stage import StageSettings


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes."""

    archived: DataStream
    dead_letters: DataStream


def build(transactions: KeyedStream, conf: Conf) -> Streams:
    """The job without its ends: ``transactions`` are enveloped records keyed by transaction id."""
    archived = batched.process(
        transactions,
        None,
        ArchiveOnce(StageSettings.of("archive", conf)),
        state="archived",
        uid="archive-once",
        name="archive once",
        ttl_hours=conf.archive.dedupe_hours,
    )
    return Streams(archived, batched.side(archived, "dead-letters"))


def attach_sinks(streams: Streams, conf: Conf) -> None:
    """History and dead letters."""
    s3.parquet_sink(
        streams.archived,
        conf,
        prefix=conf.s3.prefixes["archive"],
        row_type=archived_transaction.ROW_TYPE,
        date_field="event_time_ms",
        region_field="region",
        uid="archive-history",
    )
    dead_letters.sink(streams.dead_letters, conf)


def main() -> None:
    conf = load()
    env: StreamExecutionEnvironment = environment(conf)
    transactions = sources.transactions(env, conf, key_field="transaction_id", job="archive")
    attach_sinks(build(transactions, conf), conf)
    env.execute("archive")


if __name__ == "__main__":
    main()
