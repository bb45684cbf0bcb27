"""Promotions: what marketing announces, in order and once, to those who act on it."""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream, KeyedStream, StreamExecutionEnvironment

from tillstream.conf import Conf, load
from tillstream.connectors import batched, kafka, sources
from tillstream.domain.promotions.copies import READERS
from tillstream.jobs import dead_letters
from tillstream.udfs.engine import BYTES, environment
from tillstream.udfs.promotions import PassOn
from tillstream.udfs.stage import StageSettings

JOB = "promotions"


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
    function = PassOn(StageSettings.of(JOB, conf))
    copies = announcements.process(function, BYTES).uid("promotions-once").name("revisions once")
    return Streams(copies, batched.side(copies, "dead-letters"))


def attach_sinks(streams: Streams, conf: Conf) -> None:
    """A topic for each reader, dead letters."""
    topics = {reader: conf.kafka.topics[f"promotions_{reader}"] for reader in READERS}
    kafka.routed_sink(streams.copies, conf, topics, uid="promotion-copies")
    dead_letters.sink(streams.dead_letters, conf)


def main() -> None:
    conf = load()
    env: StreamExecutionEnvironment = environment(conf)
    attach_sinks(build(read(env, conf), conf), conf)
    env.execute(JOB)


if __name__ == "__main__":
    main()
