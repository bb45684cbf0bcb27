"""Inventory: every line sold, delivered, counted or moved in; stock levels, orders and alerts out."""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream

from tillstream.catalog import tables, topics
from tillstream.catalog.entry import DEAD_LETTERS, Job
from tillstream.connectors import batched, dead_letters, dynamodb, kafka, s3, sources
from tillstream.connectors.context import JobContext, run
from tillstream.reference import bundles
from tillstream.udfs import inventory as functions
from tillstream.udfs import stock_reports as reports

DOCUMENTS = {"movement": topics.STOCK_MOVEMENTS, "request": topics.STOCK_REQUESTS,
             "promotion": topics.PROMOTIONS_INVENTORY}  # fmt: skip
ROUTES = {route: topic.exactly_once for route, topic in topics.STOCK_ROUTES.items()}


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes, of ``actions`` after a line with the route."""

    ledger: DataStream
    actions: DataStream
    dead_letters: DataStream


def read(context: JobContext) -> tuple[DataStream, DataStream, DataStream]:
    """Lines of baskets by store and product, enveloped documents by their id, not yet keyed; orders."""
    rows = [sources.topic_rows(context, one, one.default, timed=True) for one in DOCUMENTS.values()]
    orders = sources.topic_rows(context, topics.ASSORTMENT, "assortment").set_parallelism(1)
    lines = sources.stock_lines(context, bundles(context.conf))
    return lines, rows[0].union(*rows[1:]), orders


def build(inputs: tuple[DataStream, DataStream, DataStream], context: JobContext) -> Streams:
    """Documents into lines, lines into stock; what a store's shelves and a transfer's ends tell together."""
    (baskets, documents, orders), conf = inputs, context.conf
    kinds = {conf.topic(topic): kind for kind, topic in DOCUMENTS.items()}
    lines = batched.each(
        context, sources.keyed(documents), functions.documents(conf, kinds), functions.LINES,
        uid="stock-documents", name="lines of documents",
    )  # fmt: skip
    ledger = batched.process(
        context, sources.keyed(baskets.union(lines)), orders, functions.ledger(conf), state="stock",
        uid="stock-ledger", name="stock by store and product", wait_ms=conf.inventory.wait_ms,
    )  # fmt: skip
    by_store = batched.rekeyed(batched.side(ledger, "stores"), "stock-by-store", "by store")
    stores = batched.process(
        context, by_store, None, reports.store_reports(conf), state="store-day",
        uid="store-day", name="shelves of a store together",
    )  # fmt: skip
    ends = batched.rekeyed(batched.side(lines, "transfers"), "stock-by-reference", "by reference")
    transfers = batched.process(
        context, ends, None, reports.transfer_ends(conf), state="stock-transfer",
        uid="stock-transfers", name="transfers", life_ms=reports.TRANSFER_LIFE_MS,
    )  # fmt: skip
    told = batched.side(ledger, "actions").union(batched.side(lines, "actions"), stores, transfers)
    return Streams(ledger, told, batched.refused(lines, ledger, stores, transfers))


def write(streams: Streams, context: JobContext) -> None:
    """Hot levels, history, changes, actions, dead letters."""
    dynamodb.hot_item_sink(context, streams.ledger, tables.STOCK, uid="stock-levels")
    s3.parquet_sink(context, streams.ledger, tables.STOCK_LEDGER, uid="stock-history")
    kafka.json_sink(context, streams.ledger, topics.STOCK_CHANGES, uid="stock-changes")
    kafka.routed_sink(context, streams.actions, ROUTES, uid="stock-actions")
    dead_letters.sink(context, streams.dead_letters)


JOB = Job(
    "inventory", read, build, write, reads=(*DOCUMENTS.values(), topics.ASSORTMENT),
    writes=(tables.STOCK, tables.STOCK_LEDGER, topics.STOCK_CHANGES, *ROUTES.values(), *DEAD_LETTERS),
)  # fmt: skip

if __name__ == "__main__":
    run(JOB)
