"""Sales by store and product in windows of event time: see SalesTracking.java."""

from __future__ import annotations

from typing import Any

from pyflink.datastream import DataStream

from tillstream.conf import Conf
from tillstream.connectors.gateway import java, ours

HOUR_MS = 3_600_000


def lines(transactions: DataStream, conf: Conf) -> Any:
    """Lines of baskets, a Java stream; each transaction of ``transactions`` (rows of id and
    enveloped record) once."""
    settings = conf.sales
    return ours().SalesTracking.lines(
        transactions._j_data_stream,
        settings.dedupe_hours * HOUR_MS,
        settings.out_of_order_s * 1000,
        settings.idle_s * 1000,
    )


def additions(j_lines: Any, window_ms: int, prices: dict[str, int], uid: str) -> DataStream:
    """What each window of ``window_ms`` sold, as JSON bytes; ``prices``: product to minor units."""
    listed = java().java.util.HashMap()
    for product, cents in prices.items():
        listed.put(product, cents)
    return DataStream(ours().SalesTracking.additions(j_lines, window_ms, listed, uid))
