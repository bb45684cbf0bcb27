"""The loyalty job with one change that loses its state: TILLSTREAM_CHANGE is uid, type or key."""

from __future__ import annotations

import os
from dataclasses import replace

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from tillstream.connectors import batched, sources
from tillstream.connectors.context import JobContext, run
from tillstream.jobs import loyalty
from tillstream.udfs.engine import BYTES
from tillstream.udfs.loyalty import LoyaltyLedger


class AsText(KeyedProcessFunction):
    """Keeps a text where the job keeps bytes."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self.text = runtime_context.get_state(
            ValueStateDescriptor("loyalty-account", Types.STRING())
        )

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> tuple[bytes, ...]:
        self.text.update("seen")
        return ()


CHANGE = os.environ.get("TILLSTREAM_CHANGE", "")


def read(context: JobContext) -> DataStream:
    if CHANGE != "key":
        return loyalty.read(context)
    rows = [sources.topic_rows(context, one, one.default) for one in loyalty.DOCUMENTS.values()]
    return sources.transaction_rows(context, key_field="transaction_id").union(*rows)


def build(rows: DataStream, context: JobContext) -> loyalty.Streams:
    if CHANGE == "type":
        ledger = sources.keyed(rows).process(AsText(), BYTES).uid("loyalty-ledger").name("as text")
        names = (*LoyaltyLedger.sides[1:], "members", "dead-letters")
        sides = (batched.side(ledger, name) for name in names)
        return loyalty.Streams(ledger, *sides)
    streams = loyalty.build(rows, context)
    if CHANGE == "uid":
        streams.ledger.uid("points-ledger")
    return streams


if __name__ == "__main__":
    run(replace(loyalty.JOB, read=read, build=build))
