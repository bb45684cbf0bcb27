"""The loyalty sum in Bytewax: run by benchmarks/peers/run.py in an environment of its own.

Recovery on (SQLite) at its default interval. As its documentation advises for speed, a batch of messages
is taken in one call where no state is needed, and the stateful step takes a key's values of a batch at
once. One worker.
"""

from pathlib import Path

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from peer import BROKERS, FOLDER, TOPIC, tell


def parse(messages):
    """(customer, points) of a batch."""
    tell(len(messages))
    out = []
    for message in messages:
        sale = orjson.loads(message.value)
        customer = sale.get("customer_id")
        if customer:
            out.append((customer, sale["total_cents"] // 1000))
    return out


class Points(StatefulBatchLogic):
    def __init__(self, points):
        self.points = points or 0

    def on_batch(self, values):
        self.points += sum(values)
        return (self.points,), StatefulBatchLogic.RETAIN

    def snapshot(self):
        return self.points


class Nowhere(DynamicSink):
    def build(self, step_id, worker_index, worker_count):
        return NowherePart()


class NowherePart(StatelessSinkPartition):
    def write_batch(self, items):
        pass


def flow():
    made = Dataflow("loyalty")
    source = KafkaSource(
        [BROKERS], [TOPIC], batch_size=5_000,
        add_config={"fetch.message.max.bytes": "4194304", "queued.max.messages.kbytes": "65536"},
    )  # fmt: skip
    messages = op.input("tills", made, source)
    keyed = op.flat_map_batch("parse", messages, parse)
    points = op.stateful_batch("points", keyed, Points)
    op.output("out", points, Nowhere())
    return made


if __name__ == "__main__":
    folder = Path(FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    init_db_dir(folder, 1)
    cli_main(flow(), workers_per_process=1, recovery_config=RecoveryConfig(folder))
