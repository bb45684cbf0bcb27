"""The loyalty job with one change that loses its state: TILLSTREAM_CHANGE is uid, type or key."""

from __future__ import annotations

import os

from pyflink.common import Types
from pyflink.datastream.state import ValueStateDescriptor

import jobs.loyalty
from jobs.loyalty import attach_sinks, build
from tillstream.conf import load
from tillstream.connectors import sources
from udfs.engine import environment
from udfs.loyalty import LoyaltyLedger


class AsText(LoyaltyLedger):
    account_state = ValueStateDescriptor("loyalty-account", Types.STRING())


def main() -> None:
    change = os.environ["TILLSTREAM_CHANGE"]
    conf = load()
    env = environment(conf)
    if change == "type":
        jobs.loyalty.LoyaltyLedger = AsText  # type: ignore[misc]
    key = "transaction_id" if change == "key" else "customer_id"
    streams = build(sources.transactions(env, conf, key_field=key, job="loyalty"), conf)
    if change == "uid":
        streams.ledger.uid("points-ledger")
    attach_sinks(streams, conf)
    env.execute("loyalty")


if __name__ == "__main__":
    main()
