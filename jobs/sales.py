"""Sales: what every store sells of every product by minute and hour, and at what price.

No Python runs in it. Each record is an addition to its window, so sums are right however late lines are.
"""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream, StreamExecutionEnvironment

from tillstream.conf import Conf, load
from tillstream.connectors import kafka, s3, sources, tracking
from tillstream.reference import price_list
from tillstream.state_schemas.tables import sales_addition
from tillstream.udfs.engine import environment

MINUTE_MS = 60_000


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes."""

    minutes: DataStream
    hours: DataStream


def read(env: StreamExecutionEnvironment, conf: Conf) -> DataStream:
    """Rows of (transaction id, enveloped transaction)."""
    return sources.transaction_rows(env, conf, key_field="transaction_id", job="sales")


def build(transactions: DataStream, conf: Conf) -> Streams:
    """The job without its ends, from ``read``."""
    lines, prices = tracking.lines(transactions, conf), price_list(conf)
    return Streams(
        tracking.additions(lines, MINUTE_MS, prices, "sales-by-minute"),
        tracking.additions(lines, 60 * MINUTE_MS, prices, "sales-by-hour"),
    )


def attach_sinks(streams: Streams, conf: Conf) -> None:
    """To Kafka as it happens, to S3 exactly once."""
    for name, stream in streams._asdict().items():
        topic = conf.kafka.topics[f"sales_{name}"]
        kafka.json_sink(stream, conf, topic, key_field="shelf", uid=f"sales-{name}")
        s3.parquet_sink(
            stream,
            conf,
            prefix=conf.s3.prefixes[f"sales_{name}"],
            row_type=sales_addition.ROW_TYPE,
            date_field="window_start_ms",
            region_field=None,
            uid=f"sales-{name}-history",
        )


def main() -> None:
    conf = load()
    env: StreamExecutionEnvironment = environment(conf)
    attach_sinks(build(read(env, conf), conf), conf)
    env.execute("sales")


if __name__ == "__main__":
    main()
