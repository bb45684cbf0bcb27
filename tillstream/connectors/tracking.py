"""Sales by store and product, and taxes, in windows of event time, what fraud holds of them, and which void
takes a sale back: see SalesTracking.java, HeldSales.java and FirstVoids.java."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyflink.datastream import DataStream, KeyedStream

from tillstream.conf import Conf
from tillstream.connectors import sources
from tillstream.connectors.context import JobContext
from tillstream.connectors.gateway import java, ours

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
VOIDS_MS = 31 * DAY_MS  # how long a void is remembered, at least


class Tracked(NamedTuple):
    """Java streams with event times: lines of goods, and taxes of receipts."""

    lines: Any
    taxes: Any


def tracked(transactions: DataStream, conf: Conf) -> Tracked:
    """Each transaction of ``transactions`` (rows of id and enveloped record) once."""
    settings, classes = conf.sales, ours().SalesTracking
    once = classes.once(transactions._j_data_stream, settings.dedupe_hours * HOUR_MS)
    times = settings.out_of_order_s * 1000, settings.idle_s * 1000
    return Tracked(classes.lines(once, *times), classes.taxes(once, *times))


def additions(j_lines: Any, window_ms: int, prices: dict[str, int], uid: str) -> DataStream:
    """What each window of ``window_ms`` sold, as JSON bytes; ``prices``: product to minor units."""
    listed = java().java.util.HashMap()
    for product, cents in prices.items():
        listed.put(product, cents)
    return DataStream(ours().SalesTracking.additions(j_lines, window_ms, listed, uid))


def tax_additions(j_taxes: Any, window_ms: int, uid: str) -> DataStream:
    """What each window of ``window_ms`` has of each tax, as JSON bytes."""
    return DataStream(ours().SalesTracking.taxAdditions(j_taxes, window_ms, uid))


def held(context: JobContext, orders: DataStream) -> DataStream:
    """What fraud holds and has lost by store and hour, as JSON bytes; ``orders``: rows of transaction id and
    enveloped record of the topic of holds."""
    context.state("held-sale")
    context.state("held-sale-open")
    conf = context.conf
    days, ahead_ms = conf.sales.held_days, conf.source.clock_ahead_ms
    made = ours().HeldSales.additions(orders._j_data_stream, days * DAY_MS, ahead_ms)
    return DataStream(made)


def first_voids(context: JobContext, voids: DataStream) -> KeyedStream:
    """By its id each void of ``voids`` and whether it counts, both as `udfs.passing.voids` has them."""
    context.state("intake-voids")
    hours = context.conf.intake.dedupe_hours
    remember_ms = max(hours * HOUR_MS, VOIDS_MS) if hours else 0
    rows = ours().FirstVoids.judged(voids._j_data_stream, remember_ms)
    return sources.keyed(DataStream(rows))
