"""Shortage: sales, stock levels, promotions, the assortment in; shelves that run out or are empty out."""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream

from tillstream.catalog import tables, topics
from tillstream.catalog.entry import DEAD_LETTERS, Job
from tillstream.connectors import batched, dead_letters, dynamodb, kafka, s3, sources
from tillstream.connectors.context import JobContext, run
from tillstream.udfs import shortage as functions
from tillstream.udfs.engine import BYTES


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes."""

    shelves: DataStream
    regions: DataStream
    notices: DataStream
    dead_letters: DataStream


def read(context: JobContext) -> tuple[DataStream, DataStream, DataStream]:
    """Enveloped transactions and stock levels by store, promotions by their id, not yet keyed; orders about
    the assortment."""
    baskets = sources.transaction_rows(context, "store")
    levels = sources.topic_rows(context, topics.STOCK_CHANGES, "stock-changes", key_field="store")
    promotions = sources.topic_rows(context, topics.PROMOTIONS_INVENTORY, "promotions")
    orders = sources.topic_rows(context, topics.ASSORTMENT, "assortment").set_parallelism(1)
    return baskets.union(levels), promotions, orders


def build(inputs: tuple[DataStream, DataStream, DataStream], context: JobContext) -> Streams:
    """Promotions to their stores, records into shelves, shelves into regions."""
    (of_stores, promotions, orders), conf = inputs, context.conf
    by_store = batched.each(
        context, sources.keyed(promotions), functions.promotions_by_store(conf),
        functions.BY_STORE, uid="promotions-by-store", name="promotions by store",
    )  # fmt: skip
    shelves = batched.process(
        context, sources.keyed(of_stores.union(by_store)), orders, functions.shelf_watch(conf),
        state="store-watch", uid="shelf-watch", name="shelves by store",
        wait_ms=conf.shortage.wait_ms,
    )  # fmt: skip
    regions = batched.each(
        context, sources.by_field(shelves, "area", "shortages-by-area"),
        functions.region_watch(conf), BYTES, uid="region-watch",
        name="shortages by region and product",
    )  # fmt: skip
    notices, refused = batched.side(regions, "notices"), batched.refused(by_store, shelves, regions)
    return Streams(shelves, regions, notices, refused)


def write(streams: Streams, context: JobContext) -> None:
    """Hot table, history, notices, dead letters."""
    lines = streams.shelves.union(streams.regions)
    dynamodb.hot_item_sink(context, lines, tables.SHORTAGES, uid="shortages")
    s3.parquet_sink(context, streams.shelves, tables.SHORTAGE_LINES, uid="shortage-history")
    kafka.json_sink(context, streams.notices, topics.NOTICES, uid="notices")
    dead_letters.sink(context, streams.dead_letters)


JOB = Job(
    "shortage", read, build, write,
    reads=(topics.STOCK_CHANGES, topics.PROMOTIONS_INVENTORY, topics.ASSORTMENT),
    writes=(tables.SHORTAGES, tables.SHORTAGE_LINES, topics.NOTICES, *DEAD_LETTERS),
)  # fmt: skip

if __name__ == "__main__":
    run(JOB)
