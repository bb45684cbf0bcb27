"""A job of nothing but a hot item sink, on a mini cluster in this process."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson
from pyflink.common import Types, WatermarkStrategy
from pyflink.common.watermark_strategy import TimestampAssigner
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.number_seq import NumberSequenceSource

from tests.support.engine import engine
from tillstream.catalog import tables
from tillstream.catalog.entry import Job
from tillstream.catalog.resources import Table
from tillstream.conf import Conf, load
from tillstream.connectors import dynamodb
from tillstream.connectors.context import JobContext

BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
ENDLESS = 10**12
# Written whole, as most tables are.
WHOLE = replace(tables.BALANCES, merge=False, versions={})


def conf_of(endpoint: str, table: str = "balances", **settings: Any) -> Conf:
    return load(
        "local",
        {"dynamodb": {"endpoint": endpoint, "tables": {"balances": table}} | settings},
    )


def entry(customer: int | str, version: int = 1, **changes: Any) -> str:
    """A ledger entry; the balance tells the version, so a torn item would show."""
    return orjson.dumps(
        {
            "customer_id": f"C{customer:010d}" if isinstance(customer, int) else customer,
            "version": version,
            "balance": version * 7,
            "transaction_id": f"tx-{customer}-{version}",
            "event_time_ms": 1_700_000_000_000 + version,
            "outcome": "posted",
        }
        | changes
    ).decode()


def environment(writers: int = 1, **settings: str) -> StreamExecutionEnvironment:
    """``settings``: the engine's, with ``__`` for a dot and ``_`` for a dash."""
    named = {name.replace("__", ".").replace("_", "-"): value for name, value in settings.items()}
    usual = {"execution.checkpointing.interval": "500 ms", "restart-strategy.type": "none"}
    env = engine(**usual | named)
    env.set_parallelism(writers)
    return env


def each(
    env: StreamExecutionEnvironment, entries: Iterable[str], arrived_ms: int | None = None
) -> DataStream:
    """The entries dealt out to the writers, so that one key's versions overtake. ``arrived_ms``: of
    every record."""
    texts = env.from_collection(list(entries), Types.STRING()).rebalance()
    if arrived_ms is not None:
        at_ms = arrived_ms

        class Arrived(TimestampAssigner):  # in here it is sent along, not looked for in a module
            def extract_timestamp(self, value: str, record_timestamp: int) -> int:
                return at_ms

        arrived = WatermarkStrategy.no_watermarks().with_timestamp_assigner(Arrived())
        texts = texts.assign_timestamps_and_watermarks(arrived)
    return texts.map(lambda text: text.encode(), BYTES)


def endless(env: StreamExecutionEnvironment, pause_s: float = 0) -> DataStream:
    """An entry of another customer, and another, as fast as they are taken; ``pause_s`` before each."""
    numbers = env.from_source(
        NumberSequenceSource(1, ENDLESS), WatermarkStrategy.no_watermarks(), "numbers", Types.LONG()
    ).uid("numbers")

    def made(number: int) -> bytes:
        time.sleep(pause_s)
        return entry(number).encode()

    entries = numbers.map(made, BYTES).uid("entries")
    return entries.rebalance()  # a network between, with records under way


def sink(
    env: StreamExecutionEnvironment, conf: Conf, stream: DataStream, table: Table = WHOLE
) -> DataStream:
    """Its dead letters."""
    unused: Any = None  # the sink is all there is of this job
    job = Job("hot-items", read=unused, build=unused, write=unused, writes=(table,))
    return dynamodb.hot_item_sink(JobContext(env, conf, job), stream, table, uid=table.id)
