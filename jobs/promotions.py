"""Promotions: what marketing announces, in order and once, to those who act on it."""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream, KeyedStream

from tillstream.catalog import topics
from tillstream.catalog.entry import DEAD_LETTERS, Job
from tillstream.connectors import batched, dead_letters, kafka, sources
from tillstream.connectors.context import JobContext, run
from tillstream.udfs.engine import BYTES
from tillstream.udfs.promotions import PassOn
from tillstream.udfs.stage import StageSettings

COPIES = {
    "inventory": topics.PROMOTIONS_INVENTORY.exactly_once,
    "marketing": topics.PROMOTIONS_MARKETING.exactly_once,
    "pricing": topics.PROMOTIONS_PRICING.exactly_once,
    "analytics": topics.PROMOTIONS_ANALYTICS.exactly_once,
}


class Streams(NamedTuple):
    """What the job makes: copies after a line with their reader, and dead letters as JSON bytes."""

    copies: DataStream
    dead_letters: DataStream


def read(context: JobContext) -> KeyedStream:
    """Enveloped announcements keyed by promotion."""
    return sources.topic(context, topics.PROMOTIONS, uid="promotions")


def build(announcements: KeyedStream, context: JobContext) -> Streams:
    """The job without its ends."""
    copies = batched.each(
        context, announcements, PassOn(StageSettings.of("promotions", context.conf)), BYTES,
        uid="promotions-once", name="revisions once",
    )  # fmt: skip
    return Streams(copies, batched.refused(copies))


def write(streams: Streams, context: JobContext) -> None:
    """A topic for each reader, dead letters."""
    kafka.routed_sink(context, streams.copies, COPIES, uid="promotion-copies")
    dead_letters.sink(context, streams.dead_letters)


JOB = Job(
    "promotions", read, build, write, transactions=False, reads=(topics.PROMOTIONS,),
    writes=(*COPIES.values(), *DEAD_LETTERS),
)  # fmt: skip

if __name__ == "__main__":
    run(JOB)
