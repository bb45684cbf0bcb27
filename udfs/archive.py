"""The archive function: unseal, parse, drop what was archived already, emit the transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyflink.common import Time
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import StateTtlConfig, ValueState, ValueStateDescriptor

from state_schemas import archived_mark
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.transaction import InvalidTransaction, parse
from udfs.engine import STATE_BYTES, refuse, require_thread_mode


class ArchiveOnce(KeyedProcessFunction):
    """Keyed by transaction id. In: enveloped transactions. Out: the transaction as JSON bytes with
    ``arrived_ms`` and ``origin`` added; to the side: dead letters as JSON bytes.
    ``write_versions`` is conf's."""

    def __init__(
        self,
        dedupe_hours: int,
        job: str = "archive",
        thread_mode: bool = True,
        write_versions: Mapping[str, int] | None = None,
    ):
        self.dedupe_hours = dedupe_hours
        self.job = job
        self.thread_mode = thread_mode
        self.write_versions = write_versions or {}

    def open(self, runtime_context: RuntimeContext) -> None:
        if self.thread_mode:
            require_thread_mode(runtime_context)
        seen = ValueStateDescriptor("archived", STATE_BYTES)
        seen.enable_time_to_live(
            StateTtlConfig.new_builder(Time.hours(self.dedupe_hours))
            .set_update_type(StateTtlConfig.UpdateType.OnCreateAndWrite)
            .set_state_visibility(StateTtlConfig.StateVisibility.NeverReturnExpired)
            .build()
        )
        self.seen: ValueState = runtime_context.get_state(seen)
        self.mark = archived_mark.CODEC.writer(self.write_versions)(archived_mark.Mark())

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterable[Any]:
        envelope = unseal(value)
        try:
            parse(envelope.raw)
        except InvalidTransaction as error:
            return [refuse(envelope, self.job, "validate", error.reason, error.message)]
        if (stored := self.seen.value()) is not None:
            archived_mark.CODEC.version_of(stored)
            return ()
        self.seen.update(self.mark)
        return [with_origin(envelope)]


def with_origin(envelope: Envelope) -> bytes:
    """The transaction's own JSON with two fields put in front; the rest stays byte for byte."""
    head = f'{{"arrived_ms":{envelope.arrived_ms},"origin":"{envelope.origin}",'
    return head.encode() + envelope.raw.lstrip()[1:]
