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
from typing import Any

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment

from benchmarks.jobs import one_by_one
from benchmarks.jobs.clocked import Clocked
from tillstream import catalog
from tillstream.catalog import topics
from tillstream.conf import Conf, load
from tillstream.connectors import batched, kafka
from tillstream.connectors.context import JobContext
from tillstream.connectors.gateway import add_sink, java

# The stream that is told at once, and its topic.
EVENTS = {
    "intake": ("transactions", topics.TRANSACTIONS),
    "loyalty": ("ledger", topics.LOYALTY_EVENTS),
    "inventory": ("ledger", topics.STOCK_CHANGES),
    "fraud": ("notices", topics.NOTICES),
}


# Side outputs that a job reads only where it writes them.
SIDES = {("fraud", "judged"): ("explanations", "cases", "holds", "notices", "rule-answers",
                               "labels")}  # fmt: skip


def main() -> None:
    chosen = json.loads(os.environ["TILLSTREAM_BENCH"])
    name, mode = chosen["job"], chosen["mode"]
    conf = load()
    env = environment(conf, mode)
    _replace(mode, chosen.get("clocks"), chosen.get("sample", False))
    job = catalog.job(name)
    context = JobContext(env, conf.of(job), job)
    streams = job.build(job.read(context), context)
    if chosen["sinks"] == "all":
        job.write(streams, context)
    else:
        made = streams._asdict()
        for stream in list(made):
            made |= {
                name: batched.side(made[stream], name) for name in SIDES.get((job.name, stream), ())
            }
        _end(context, made, chosen["sinks"] == "events")
    env.execute(f"{name}-variant")


def environment(conf: Conf, mode: str) -> StreamExecutionEnvironment:
    """As connectors.context makes it, with the execution mode chosen."""
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

        def clocked(
            context: Any, records: Any, control: Any, function: Any, **settings: Any
        ) -> Any:
            watched = Clocked(function, clocks, sample)
            return product(context, records, control, watched, **settings)

        batched.process = clocked


def _end(context: JobContext, streams: dict[str, Any], events: bool) -> None:
    if events:
        told, topic = EVENTS[context.job.name]
        kafka.json_sink(context, streams.pop(told), topic, "events")
    discarding = java().org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink
    for stream, made in streams.items():
        add_sink(made, discarding(), f"dropped-{stream}", f"{stream} dropped")


if __name__ == "__main__":
    main()
