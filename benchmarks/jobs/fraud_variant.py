"""The fraud job as benchmarks run it: the product's own inputs and stages, every output dropped in the
JVM, so that no emulator is measured."""

from __future__ import annotations

from jobs.fraud import build, read
from tillstream.conf import load
from tillstream.connectors.gateway import add_sink, java
from udfs.engine import environment


def main() -> None:
    conf = load()
    env = environment(conf)
    streams = build(read(env, conf), conf)
    discarding = java().org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink
    for name, stream in streams._asdict().items():
        add_sink(stream, discarding(), f"dropped-{name}", f"{name} dropped")
    env.execute("fraud-variant")


if __name__ == "__main__":
    main()
