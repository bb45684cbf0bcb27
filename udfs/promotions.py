"""The promotions job's function: unseal, parse, pass each revision on once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor

from tillstream.domain.envelope import unseal
from tillstream.domain.promotions.copies import Outdated, pass_on
from tillstream.domain.promotions.promotion import parse
from tillstream.domain.transaction import InvalidTransaction
from tillstream.state_schemas.keyed import promotion_known
from tillstream.udfs.engine import STATE_BYTES, refuse, require_thread_mode

JOB = "promotions"
KNOWN = ValueStateDescriptor("promotion", STATE_BYTES)


class PassOn(KeyedProcessFunction):
    """Keyed by promotion. In: enveloped announcements. Out: a copy for each reader as
    ``<reader>|<promotion_id>\\n<json>``; to the side: dead letters as JSON bytes."""

    def __init__(self, thread_mode: bool = True):
        self.thread_mode = thread_mode

    def open(self, runtime_context: RuntimeContext) -> None:
        if self.thread_mode:
            require_thread_mode(runtime_context)
        self.known: ValueState = runtime_context.get_state(KNOWN)

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterable[Any]:
        envelope = unseal(value)
        try:
            announced = parse(envelope.raw)
        except InvalidTransaction as error:
            return [refuse(envelope, JOB, "validate", error.reason, error.message)]
        stored = self.known.value()
        before = promotion_known.decode(stored) if stored is not None else None
        after, copies = pass_on(before, announced, envelope.arrived_ms, envelope.origin)
        if isinstance(copies, Outdated):
            return [refuse(envelope, JOB, "apply", "outdated", copies.message)]
        if after is not None:
            self.known.update(promotion_known.encode(after))
        return [
            f"{reader}|{announced.promotion_id}\n".encode() + msgspec.json.encode(copy)
            for reader, copy in copies.items()
        ]
