"""The loyalty job's function: unseal, parse, apply the rule, store, emit ledger entries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from pyflink.common import Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor

from state_schemas import loyalty_account
from tillstream.domain.envelope import unseal
from tillstream.domain.loyalty import LoyaltyRules, Refused, apply
from tillstream.domain.loyalty_notices import redemption_notice
from tillstream.domain.transaction import InvalidTransaction, parse
from udfs.engine import NOTICES, refuse, require_thread_mode

# The payload is bytes of our own codec; PyFlink's pickle adds a frame and no class names.
ACCOUNT = ValueStateDescriptor("loyalty-account", Types.PICKLED_BYTE_ARRAY())


class LoyaltyLedger(KeyedProcessFunction):
    """Keyed by customer. In: enveloped transactions. Out: ledger entries as JSON bytes;
    to the side: dead letters and, unless ``notify`` is off, notices as JSON bytes."""

    def __init__(
        self,
        rules: LoyaltyRules,
        job: str = "loyalty",
        thread_mode: bool = True,
        notify: bool = True,
    ):
        self.rules = rules
        self.notify = notify
        self.job = job
        self.thread_mode = thread_mode

    def open(self, runtime_context: RuntimeContext) -> None:
        if self.thread_mode:
            require_thread_mode(runtime_context)
        self.account: ValueState = runtime_context.get_state(ACCOUNT)
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
        before = loyalty_account.decode(stored) if stored is not None else None
        after, entries = apply(before, transaction, self.rules, envelope.arrived_ms)
        if isinstance(entries, Refused):
            return [refuse(envelope, self.job, "apply", entries.reason, entries.message)]
        if after is not None:
            self.account.update(loyalty_account.encode(after))
        out: list[Any] = [self.encode_entry(entry) for entry in entries]
        # A redemption is one sale in some thirty, so the rule is asked for those alone.
        if transaction.points_to_redeem and self.notify:
            notices = filter(None, map(redemption_notice, entries))
            out += [(NOTICES, self.encode_entry(notice)) for notice in notices]
        return out
