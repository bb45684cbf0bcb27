"""The loyalty sum in Quix Streams: run by benchmarks/peers/run.py in an environment of its own.

State on (RocksDB) with its changelog topic, at least once, as an application of theirs has it by default;
larger fetches for the consumer, as for every peer. One process: theirs is the unit of scaling.
"""

import os

from peer import BROKERS, FOLDER, TOPIC, tell
from quixstreams import Application


def add(sale, state):
    tell(1)
    if sale.get("customer_id"):
        state.set("points", state.get("points", 0) + sale["total_cents"] // 1000)


def main():
    app = Application(
        broker_address=BROKERS,
        consumer_group=f"quix-{os.getpid()}",
        auto_offset_reset="earliest",
        state_dir=FOLDER,
        loglevel="ERROR",
        consumer_extra_config={"fetch.message.max.bytes": 4_194_304},
    )
    tills = app.topic(TOPIC, value_deserializer="json", key_deserializer="str")
    # Records are keyed by customer already, so nothing needs to be sent round again.
    app.dataframe(tills).update(add, stateful=True)
    app.run()


if __name__ == "__main__":
    main()
