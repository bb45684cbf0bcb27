"""Sales by store and product, and taxes, in windows of event time: see SalesTracking.java."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyflink.datastream import DataStream

from tillstream.conf import Conf
from tillstream.connectors.gateway import java, ours

HOUR_MS = 3_600_000


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
