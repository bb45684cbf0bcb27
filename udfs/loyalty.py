"""The loyalty job's function: unseal, parse, apply the rule, store, emit ledger entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor

from state_schemas import loyalty_account
from tillstream.domain.envelope import unseal
from tillstream.domain.loyalty import LoyaltyRules, Refused, apply
from tillstream.domain.transaction import InvalidTransaction, parse
from udfs.engine import STATE_BYTES, refuse, require_thread_mode


class LoyaltyLedger(KeyedProcessFunction):
    """Keyed by customer. In: enveloped transactions. Out: ledger entries as JSON bytes;
    to the side: dead letters as JSON bytes. ``write_versions`` is conf's."""

    account_state = ValueStateDescriptor("loyalty-account", STATE_BYTES)

    def __init__(
        self,
        rules: LoyaltyRules,
        job: str = "loyalty",
        thread_mode: bool = True,
        write_versions: Mapping[str, int] | None = None,
    ):
        self.rules = rules
        self.job = job
        self.thread_mode = thread_mode
        self.write_versions = write_versions or {}

    def open(self, runtime_context: RuntimeContext) -> None:
        if self.thread_mode:
            require_thread_mode(runtime_context)
        self.account: ValueState = runtime_context.get_state(self.account_state)
        self.decode_account = loyalty_account.decode
        self.encode_account = loyalty_account.CODEC.writer(self.write_versions)
        self.encode_entry = msgspec.json.Encoder().encode

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterable[Any]:
        envelope = unseal(value)
        try:
            transaction = parse(envelope.raw)
        except InvalidTransaction as error:
            return [refuse(envelope, self.job, "validate", error.reason, error.message)]
        if transaction.customer_id is None:
            return ()
        stored = self.account.value()
        before = self.decode_account(stored) if stored is not None else None
        after, entries = apply(before, transaction, self.rules, envelope.arrived_ms)
        if isinstance(entries, Refused):
            return [refuse(envelope, self.job, "apply", entries.reason, entries.message)]
        if after is not None:
            self.account.update(self.encode_account(after))
        return [self.encode_entry(entry) for entry in entries]
