"""Sales by store and product, and taxes, in windows of event time, and what fraud holds of them: see
SalesTracking.java and HeldSales.java."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyflink.datastream import DataStream

from tillstream.conf import Conf
from tillstream.connectors.context import JobContext
from tillstream.connectors.gateway import java, ours

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


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
