"""A job as benchmarks run it: the product's own inputs and ``build``, with chosen ends.

TILLSTREAM_BENCH is JSON:

- job: the name of a file in jobs/;
- mode: ``batched``, the product; ``thread`` and ``process`` call Python once a record, in thread mode
  and in PyFlink's default mode;
- sinks: ``all``; ``events``, only what the job tells on Kafka as it happens; ``none``: everything
  still leaves Python and is dropped in the JVM, so that no stand-in is measured;
- clocks: a folder for what Python measures of itself; sample: whether its stacks are sampled too.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import Any

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment

from benchmarks.jobs import one_by_one
from benchmarks.jobs.clocked import Clocked
from tillstream.conf import Conf, load
from tillstream.connectors import batched, kafka, sources
from tillstream.connectors.gateway import add_sink, java

# Jobs that read till transactions alone, and what they are keyed by.
KEYS = {"loyalty": "customer_id", "archive": "transaction_id"}
# The stream that is told at once: its topic and key.
EVENTS = {
    "loyalty": ("ledger", "loyalty_events", "customer_id"),
    "inventory": ("ledger", "stock_changes", "stock_key"),
    "fraud": ("notices", "notices", "notice_id"),
}


def main() -> None:
    chosen = json.loads(os.environ["TILLSTREAM_BENCH"])
    name, mode = chosen["job"], chosen["mode"]
    conf = load()
    env = environment(conf, mode)
    _replace(mode, chosen.get("clocks"), chosen.get("sample", False))
    job: Any = import_module(f"jobs.{name}")
    if name in KEYS:
        streams = job.build(sources.transactions(env, conf, key_field=KEYS[name], job=name), conf)
    else:
        streams = job.build(job.read(env, conf), conf)
    if chosen["sinks"] == "all":
        job.attach_sinks(streams, conf)
    else:
        _end(name, streams._asdict(), conf, chosen["sinks"] == "events")
    env.execute(f"{name}-variant")


def environment(conf: Conf, mode: str) -> StreamExecutionEnvironment:
    """As udfs.engine makes it, with the execution mode chosen."""
    engine = Configuration()
    engine.set_string("python.execution-mode", "process" if mode == "process" else "thread")
    env = StreamExecutionEnvironment.get_execution_environment(engine)
    env.set_parallelism(conf.job.parallelism)
    env.set_max_parallelism(conf.job.max_parallelism)
    return env


def _replace(mode: str, clocks: str | None, sample: bool) -> None:
    """Puts another way of calling Python in the place of the product's."""
    product: Any = batched.process
    if mode != "batched":
        batched.process = one_by_one.process
    elif clocks:

        def clocked(records: Any, control: Any, function: Any, **settings: Any) -> Any:
            return product(records, control, Clocked(function, clocks, sample), **settings)

        batched.process = clocked


def _end(name: str, streams: dict[str, Any], conf: Conf, events: bool) -> None:
    if events:
        told, topic, key = EVENTS[name]
        prompt = name == "fraud"  # as the product has it
        kafka.json_sink(streams.pop(told), conf, conf.kafka.topics[topic], key, "events", prompt)
    discarding = java().org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink
    for stream, made in streams.items():
        add_sink(made, discarding(), f"dropped-{stream}", f"{stream} dropped")


if __name__ == "__main__":
    main()
