"""The loyalty job with one change that loses its state: TILLSTREAM_CHANGE is uid, type or key."""

from __future__ import annotations

import os

from pyflink.common import Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from tillstream.conf import load
from tillstream.connectors import batched, sources
from tillstream.jobs.loyalty import Streams, attach_sinks, build
from tillstream.udfs.engine import BYTES, environment


class AsText(KeyedProcessFunction):
    """Keeps a text where the job keeps bytes."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self.text = runtime_context.get_state(
            ValueStateDescriptor("loyalty-account", Types.STRING())
        )

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> tuple[bytes, ...]:
        self.text.update("seen")
        return ()


def main() -> None:
    change = os.environ["TILLSTREAM_CHANGE"]
    conf = load()
    env = environment(conf)
    key = "transaction_id" if change == "key" else "customer_id"
    transactions = sources.transactions(env, conf, key_field=key, job="loyalty")
    if change == "type":
        ledger = transactions.process(AsText(), BYTES).uid("loyalty-ledger").name("as text")
        sides = (batched.side(ledger, name) for name in ("notices", "dead-letters"))
        streams = Streams(ledger, *sides)
    else:
        streams = build(transactions, conf)
    if change == "uid":
        streams.ledger.uid("points-ledger")
    attach_sinks(streams, conf)
    env.execute("loyalty")


if __name__ == "__main__":
    main()
