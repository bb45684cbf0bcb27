"""The loyalty job as benchmarks run it: the product's own ``build``, with chosen ends.

TILLSTREAM_BENCH is JSON: {"mode": "batched" | "thread" | "process", "sinks": "none" | "all"}. Batched is
the product; the other two call Python once a record, in thread mode and in PyFlink's default mode.
Without sinks every ledger entry still leaves Python and is dropped in the JVM.
"""

from __future__ import annotations

import json
import os

from pyflink.common import Configuration
from pyflink.datastream import KeyedStream, StreamExecutionEnvironment

from benchmarks.jobs.one_by_one import OneByOne
from jobs.loyalty import Streams, attach_sinks, build, ledger_function
from tillstream.conf import Conf, load
from tillstream.connectors import batched, sources
from tillstream.connectors.gateway import add_sink, java
from udfs.engine import BYTES
from udfs.loyalty import SIDES


def one_by_one(records: KeyedStream, conf: Conf) -> Streams:
    """``build`` with one call a record."""
    function = OneByOne(ledger_function(conf), SIDES)
    ledger = records.process(function, BYTES).uid("ledger").name("points ledger, one call a record")
    return Streams(ledger, batched.side(ledger, "notices"), batched.side(ledger, "dead-letters"))


def main() -> None:
    chosen = json.loads(os.environ["TILLSTREAM_BENCH"])
    conf = load()
    engine = Configuration()
    mode = chosen["mode"]
    engine.set_string("python.execution-mode", "process" if mode == "process" else "thread")
    env = StreamExecutionEnvironment.get_execution_environment(engine)
    env.set_parallelism(conf.job.parallelism)
    env.set_max_parallelism(conf.job.max_parallelism)
    records = sources.transactions(env, conf, key_field="customer_id", job="loyalty")
    streams = build(records, conf) if mode == "batched" else one_by_one(records, conf)
    if chosen["sinks"] == "all":
        attach_sinks(streams, conf)
    else:
        discarding = java().org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink
        add_sink(streams.ledger, discarding(), "dropped", "ledger dropped")
        add_sink(streams.dead_letters, discarding(), "dropped-dead", "dead letters dropped")
        add_sink(streams.notices, discarding(), "dropped-notices", "notices dropped")
    env.execute("loyalty-variant")


if __name__ == "__main__":
    main()
