"""Shortage: till transactions, stock levels and promotions in; shelves that run out or are empty out.

Every rule is in tillstream/domain/shortage/store.py and regional.py; every operator has a uid, for a changed
uid loses state.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace
from pyflink.datastream import DataStream, StreamExecutionEnvironment

from tillstream.conf import Conf, load
from tillstream.connectors import batched, dynamodb, kafka, s3, sources
from tillstream.domain.demand.model import DemandRules
from tillstream.domain.shortage.line import MINUTE_MS
from tillstream.domain.shortage.regional import RegionalRules
from tillstream.domain.shortage.shelves import ShortageRules
from tillstream.domain.shortage.silence import SilenceRules
from tillstream.jobs import dead_letters
from tillstream.reference import places
from tillstream.state_schemas.tables import shortage_line
from tillstream.udfs.engine import BYTES, environment
from tillstream.udfs.shortage import BY_STORE, PromotionsByStore, RegionWatch, ShelfWatch
from tillstream.udfs.stage import StageSettings

JOB = "shortage"


class Inputs(NamedTuple):
    """Enveloped transactions and stock levels by store; enveloped promotions by their id."""

    of_stores: DataStream
    promotions: DataStream


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes."""

    shelves: DataStream
    regions: DataStream
    notices: DataStream
    dead_letters: DataStream


def read(env: StreamExecutionEnvironment, conf: Conf) -> Inputs:
    """Everything the job reads; rows that are not yet keyed."""
    topics = conf.kafka.topics
    baskets = sources.transaction_rows(env, conf, "store", JOB)
    levels = sources.topic_rows(env, conf, topics["stock_changes"], "store", JOB, "stock-changes")
    promotions = sources.topic_rows(
        env, conf, topics["promotions_inventory"], "promotion_id", JOB, "promotions"
    )
    return Inputs(baskets.union(levels), promotions)


def watch_function(conf: Conf) -> ShelfWatch:
    """The settings as the rules take them."""
    settings = conf.shortage
    rules = ShortageRules(
        demand=_local(conf),
        silence=SilenceRules(false_alarms_a_year=settings.false_alarms_a_year),
        lead_minutes=settings.lead_minutes,
        lead_minutes_by_store=settings.lead_minutes_by_store,
        open_at=settings.open_at_percent / 100,
        close_at=settings.close_at_percent / 100,
        max_shelves=settings.max_shelves,
        stale_ms=settings.stale_minutes * MINUTE_MS,
    )
    return ShelfWatch(
        StageSettings.of(JOB, conf),
        rules,
        frozenset(settings.categories),
        conf.kafka.topics["stock_changes"],
        settings.ask_again_minutes * MINUTE_MS,
    )


def _local(conf: Conf) -> DemandRules:
    return DemandRules(conf.demand.utc_offset_minutes, conf.demand.half_life_days)


def build(inputs: Inputs, conf: Conf) -> Streams:
    """The job without its ends."""
    stage = StageSettings.of(JOB, conf)
    stores = tuple(store.number for store in places(conf)[0])
    by_store = (
        sources.keyed(inputs.promotions)
        .process(PromotionsByStore(stage, stores), BY_STORE)
        .uid("promotions-by-store")
        .name("promotions by store")
    )
    shelves = batched.process(
        sources.keyed(inputs.of_stores.union(by_store)),
        sources.none_of(inputs.promotions, uid="shelf-watch-no-control"),
        watch_function(conf),
        state="store-watch",
        uid="shelf-watch",
        name="shelves by store",
        wait_ms=conf.shortage.wait_ms,
    )
    regional = RegionalRules(
        normal=replace(RegionalRules().normal, utc_offset_minutes=_local(conf).utc_offset_minutes)
    )
    regions = (
        sources.by_field(shelves, "area", "shortages-by-area")
        .process(RegionWatch(stage, regional), BYTES)
        .uid("region-watch")
        .name("shortages by region and product")
    )
    refused, *more = (batched.side(made, "dead-letters") for made in (by_store, shelves, regions))
    refused = refused.union(*more)
    return Streams(shelves, regions, batched.side(regions, "notices"), refused)


def attach_sinks(streams: Streams, conf: Conf) -> None:
    """Hot table, history, notices, dead letters."""
    dynamodb.shortage_sink(streams.shelves.union(streams.regions), conf, uid="shortages")
    s3.parquet_sink(
        streams.shelves,
        conf,
        prefix=conf.s3.prefixes["shortages"],
        row_type=shortage_line.ROW_TYPE,
        date_field="at_ms",
        region_field="region",
        uid="shortage-history",
    )
    kafka.json_sink(
        streams.notices, conf, conf.kafka.topics["notices"], key_field="notice_id", uid="notices"
    )
    dead_letters.sink(streams.dead_letters, conf)


def main() -> None:
    conf = load()
    env: StreamExecutionEnvironment = environment(conf)
    attach_sinks(build(read(env, conf), conf), conf)
    env.execute(JOB)


if __name__ == "__main__":
    main()
