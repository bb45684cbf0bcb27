"""Promotions: what marketing announces, in order and once, to those who act on it."""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream, KeyedStream, StreamExecutionEnvironment

from state_schemas import dead_letter
from tillstream.conf import Conf, load
from tillstream.connectors import kafka, s3, sources
from tillstream.domain.promotion_copies import READERS
from udfs.engine import BYTES, dead_letters, environment
from udfs.promotions import JOB, PassOn


class Streams(NamedTuple):
    """What the job makes: copies after a line with their reader, and dead letters as JSON bytes."""

    copies: DataStream
    dead_letters: DataStream


def read(env: StreamExecutionEnvironment, conf: Conf) -> KeyedStream:
    """Enveloped announcements keyed by promotion."""
    topic = conf.kafka.topics["promotions"]
    return sources.topic(env, conf, topic, "promotion_id", JOB, uid="promotions")


def build(announcements: KeyedStream, conf: Conf) -> Streams:
    """The job without its ends, from ``read``."""
    function = PassOn(conf.job.require_thread_mode)
    copies = announcements.process(function, BYTES).uid("promotions-once").name("revisions once")
    return Streams(copies, dead_letters(copies))


def attach_sinks(streams: Streams, conf: Conf) -> None:
    """A topic for each reader, dead letters."""
    topics = {reader: conf.kafka.topics[f"promotions_{reader}"] for reader in READERS}
    kafka.routed_sink(streams.copies, conf, topics, uid="promotion-copies")
    kafka.dead_letter_sink(streams.dead_letters, conf, uid="dead-letters")
    s3.parquet_sink(
        streams.dead_letters,
        conf,
        prefix=conf.s3.prefixes["dead_letters"],
        row_type=dead_letter.ROW_TYPE,
        date_field="failed_at_ms",
        region_field=None,
        uid="dead-letter-history",
    )


def main() -> None:
    conf = load()
    env: StreamExecutionEnvironment = environment(conf)
    attach_sinks(build(read(env, conf), conf), conf)
    env.execute(JOB)


if __name__ == "__main__":
    main()
