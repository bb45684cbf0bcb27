"""The loyalty job's function: unseal, parse, apply the rule, emit ledger entries."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from pyflink.datastream import RuntimeContext

from tillstream.conf import Conf
from tillstream.domain.envelope import unseal
from tillstream.domain.loyalty.ledger import DAY_MS, Account, LoyaltyRules, Refused, apply
from tillstream.domain.loyalty.notices import redemption_notice
from tillstream.domain.transaction import InvalidTransaction, parse
from tillstream.state_schemas.keyed import loyalty_account
from tillstream.udfs.batched import BatchedFunction, Outputs
from tillstream.udfs.engine import failed, refuse

DEAD_LETTERS, NOTICES = 1, 2
SIDES = ["dead-letters", "notices"]


class LoyaltyLedger(BatchedFunction):
    """Keyed by customer. In: enveloped transactions. Out: ledger entries as JSON bytes;
    to the side: dead letters and, unless ``notify`` is off, notices as JSON bytes.
    ``write_versions`` is conf's."""

    codec = loyalty_account.CODEC

    def __init__(
        self,
        rules: LoyaltyRules,
        job: str = "loyalty",
        thread_mode: bool = True,
        notify: bool = True,
        write_versions: Mapping[str, int] | None = None,
    ):
        self.rules = rules
        self.notify = notify
        self.job = job
        self.thread_mode = thread_mode
        self.write_versions = write_versions or {}

    def start(self, runtime_context: RuntimeContext) -> None:
        self.json = msgspec.json.Encoder().encode

    def record(self, state: Account | None, value: bytes, out: Outputs) -> Account | None:
        envelope = unseal(value)
        try:
            transaction = parse(envelope.raw)
        except InvalidTransaction as error:
            letter = refuse(envelope, self.job, "validate", error.reason, error.message)[1]
            out.emit(letter, DEAD_LETTERS)
            return None
        if transaction.customer_id is None:
            return None
        after, entries = apply(state, transaction, self.rules, envelope.arrived_ms)
        if isinstance(entries, Refused):
            letter = refuse(envelope, self.job, "apply", entries.reason, entries.message)[1]
            out.emit(letter, DEAD_LETTERS)
            return None
        for entry in entries:
            out.emit(self.json(entry))
        # A redemption is one sale in some thirty, so the rule is asked for those alone.
        if transaction.points_to_redeem and self.notify:
            for notice in filter(None, map(redemption_notice, entries)):
                out.emit(self.json(notice), NOTICES)
        return after

    def failed(self, value: bytes, problem: str) -> tuple[int, bytes]:
        return DEAD_LETTERS, failed(unseal(value), self.job, problem)


def ledger(conf: Conf) -> LoyaltyLedger:
    """The programme's terms as conf has them."""
    terms = conf.loyalty
    return LoyaltyLedger(
        LoyaltyRules(
            cents_per_point=terms.cents_per_point,
            point_value_cents=terms.point_value_cents,
            horizon_ms=terms.horizon_days * DAY_MS,
            max_postings=terms.max_postings,
        ),
        thread_mode=conf.job.require_thread_mode,
        notify=terms.notify,
        write_versions=conf.state.write_versions,
    )
