"""The inventory job as the benchmark runs it: the product's own ``build``, with chosen ends.

TILLSTREAM_BENCH is JSON: {"sinks": "none" | "all"}. Without sinks every entry and action still leaves
Python and is dropped in the JVM.
"""

from __future__ import annotations

import json
import os

from jobs.inventory import attach_sinks, build, read
from tillstream.conf import load
from tillstream.connectors.gateway import add_sink, java
from udfs.engine import environment


def main() -> None:
    conf = load()
    env = environment(conf)
    streams = build(read(env, conf), conf)
    if json.loads(os.environ["TILLSTREAM_BENCH"])["sinks"] == "all":
        attach_sinks(streams, conf)
    else:
        discarding = java().org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink
        for name, stream in streams._asdict().items():
            add_sink(stream, discarding(), f"dropped-{name}", f"{name} dropped")
    env.execute("inventory-variant")


if __name__ == "__main__":
    main()
