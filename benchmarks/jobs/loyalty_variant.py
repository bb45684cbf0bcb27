"""The loyalty job as benchmarks run it: the product's own ``build``, with chosen ends.

TILLSTREAM_BENCH is JSON: {"mode": "thread" | "process", "sinks": "none" | "all"}. Without sinks every
ledger entry still leaves Python and is dropped in the JVM.
"""

from __future__ import annotations

import json
import os

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment

from jobs.loyalty import attach_sinks, build
from tillstream.conf import load
from tillstream.connectors import sources
from tillstream.connectors.gateway import add_sink, java


def main() -> None:
    chosen = json.loads(os.environ["TILLSTREAM_BENCH"])
    conf = load()
    engine = Configuration()
    engine.set_string("python.execution-mode", chosen["mode"])
    env = StreamExecutionEnvironment.get_execution_environment(engine)
    env.set_parallelism(conf.job.parallelism)
    env.set_max_parallelism(conf.job.max_parallelism)
    streams = build(sources.transactions(env, conf, key_field="customer_id", job="loyalty"), conf)
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
