"""Inventory: every line sold, delivered, counted or moved in; stock levels, orders and alerts out.

Every rule is in tillstream/domain/stock/inventory.py and what it uses; every operator has a uid, for a
changed uid loses state.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from pyflink.datastream import DataStream, StreamExecutionEnvironment

from tillstream.conf import Conf, load
from tillstream.connectors import batched, dynamodb, kafka, s3, sources
from tillstream.domain.demand.model import DemandRules
from tillstream.domain.stock.inventory import InventoryRules
from tillstream.domain.stock.ledger import HOUR_MS, StockRules
from tillstream.domain.stock.replenishment import PlanningRules
from tillstream.jobs import dead_letters
from tillstream.reference import network
from tillstream.state_schemas.tables import stock_entry
from tillstream.udfs.engine import environment
from tillstream.udfs.inventory import CLOCK_AHEAD_MS, LINES, StockDocuments, StockLedger
from tillstream.udfs.stage import StageSettings

JOB = "inventory"


class Inputs(NamedTuple):
    """Lines of baskets by store and product; enveloped documents by their id."""

    baskets: DataStream
    documents: DataStream


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes, of ``actions`` after a line with the route."""

    ledger: DataStream
    actions: DataStream
    dead_letters: DataStream


def read(env: StreamExecutionEnvironment, conf: Conf) -> Inputs:
    """Everything the job reads; rows that are not yet keyed."""
    topics = conf.kafka.topics
    documents = [
        sources.topic_rows(env, conf, topics[name], key, JOB, name.replace("_", "-"))
        for name, key in (
            ("stock_movements", "document_id"),
            ("stock_requests", "request_id"),
            ("promotions_inventory", "promotion_id"),
        )
    ]
    baskets = sources.stock_lines(env, conf, JOB, CLOCK_AHEAD_MS)
    return Inputs(baskets, documents[0].union(*documents[1:]))


def build(inputs: Inputs, conf: Conf) -> Streams:
    """The job without its ends."""
    near = network(conf)
    topics, settings = conf.kafka.topics, StageSettings.of(JOB, conf)
    kinds = {
        topics["stock_movements"]: "movement",
        topics["stock_requests"]: "request",
        topics["promotions_inventory"]: "promotion",
    }
    lines = (
        sources.keyed(inputs.documents)
        .process(StockDocuments(settings, kinds, tuple(near)), LINES)
        .uid("stock-documents")
        .name("lines of documents")
    )
    ledger = batched.process(
        sources.keyed(inputs.baskets.union(lines)),
        sources.none_of(inputs.documents, uid="stock-no-control"),
        StockLedger(settings, rules(conf), near),
        state="stock",
        uid="stock-ledger",
        name="stock by store and product",
        wait_ms=conf.inventory.wait_ms,
    )
    actions, refused = (batched.side(ledger, name) for name in StockLedger.sides)
    return Streams(ledger, actions, batched.side(lines, "dead-letters").union(refused))


def rules(conf: Conf) -> InventoryRules:
    """The settings as the rules take them."""
    settings = msgspec.to_builtins(conf.inventory)
    planning = {
        name: settings[name] for name in PlanningRules.__struct_fields__ if name in settings
    }
    local = DemandRules(conf.demand.utc_offset_minutes, conf.demand.half_life_days, hourly=False)
    stock = StockRules(conf.inventory.horizon_hours * HOUR_MS, conf.inventory.max_lines)
    return InventoryRules(stock, PlanningRules(**planning, demand=local))


def attach_sinks(streams: Streams, conf: Conf) -> None:
    """Hot levels, history, changes, actions, dead letters."""
    topics = conf.kafka.topics
    dynamodb.stock_sink(streams.ledger, conf, uid="stock-levels")
    s3.parquet_sink(
        streams.ledger,
        conf,
        prefix=conf.s3.prefixes["stock_ledger"],
        row_type=stock_entry.ROW_TYPE,
        date_field="event_time_ms",
        region_field=None,
        uid="stock-history",
    )
    kafka.json_sink(
        streams.ledger, conf, topics["stock_changes"], key_field="stock_key", uid="stock-changes"
    )
    routes = {
        "requests": topics["stock_requests"],
        "orders": topics["stock_orders"],
        "central": topics["central_stock"],
        "offers": topics["transfer_offers"],
        "truck_routes": topics["truck_routes"],
        "notices": topics["notices"],
    }
    kafka.routed_sink(streams.actions, conf, routes, uid="stock-actions")
    dead_letters.sink(streams.dead_letters, conf)


def main() -> None:
    conf = load()
    env: StreamExecutionEnvironment = environment(conf)
    attach_sinks(build(read(env, conf), conf), conf)
    env.execute(JOB)


if __name__ == "__main__":
    main()
