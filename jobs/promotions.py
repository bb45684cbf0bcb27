"""Promotions: what marketing announces, in order and once, to those who act on it; overlaps of prices."""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream, KeyedStream

from tillstream.catalog import topics
from tillstream.catalog.entry import DEAD_LETTERS, Job
from tillstream.connectors import batched, dead_letters, kafka, sources
from tillstream.connectors.context import JobContext, run
from tillstream.udfs.engine import BYTES
from tillstream.udfs.promotions import NOTICES, OFFERS, PassOn, PriceOverlaps
from tillstream.udfs.stage import StageSettings

COPIES = {
    "inventory": topics.PROMOTIONS_INVENTORY.exactly_once,
    "marketing": topics.PROMOTIONS_MARKETING.exactly_once,
    "pricing": topics.PROMOTIONS_PRICING.exactly_once,
    "analytics": topics.PROMOTIONS_ANALYTICS.exactly_once,
}


class Streams(NamedTuple):
    """What the job makes: copies after a line with their reader, all else as JSON bytes."""

    copies: DataStream
    overlaps: DataStream
    notices: DataStream
    dead_letters: DataStream


def read(context: JobContext) -> KeyedStream:
    """Enveloped announcements keyed by promotion."""
    return sources.topic(context, topics.PROMOTIONS, uid="promotions")


def build(announcements: KeyedStream, context: JobContext) -> Streams:
    """The job without its ends."""
    settings = StageSettings.of("promotions", context.conf)
    copies = batched.each(
        context,
        announcements,
        PassOn(settings),
        BYTES,
        uid="promotions-once",
        name="revisions once",
    )
    offers = batched.side(copies, OFFERS)
    overlaps = batched.each(
        context, batched.rekeyed(offers, "offers-by-product", "by product"), PriceOverlaps(settings),
        BYTES, uid="promotion-overlaps", name="prices by product",
    )  # fmt: skip
    notices = batched.side(overlaps, NOTICES)
    return Streams(copies, overlaps, notices, batched.refused(copies, overlaps))


def write(streams: Streams, context: JobContext) -> None:
    """A topic for each reader, overlaps, notices, dead letters."""
    kafka.routed_sink(context, streams.copies, COPIES, uid="promotion-copies")
    kafka.json_sink(context, streams.overlaps, topics.PROMOTIONS_OVERLAPS, uid="overlaps")
    kafka.json_sink(context, streams.notices, topics.NOTICES, uid="notices")
    dead_letters.sink(context, streams.dead_letters)


JOB = Job(
    "promotions", read, build, write, transactions=False, reads=(topics.PROMOTIONS,),
    writes=(*COPIES.values(), topics.PROMOTIONS_OVERLAPS, topics.NOTICES, *DEAD_LETTERS),
)  # fmt: skip

if __name__ == "__main__":
    run(JOB)
