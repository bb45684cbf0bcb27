"""The loyalty job's stage: unseal, parse, apply the rule, emit ledger entries."""

from __future__ import annotations

import msgspec
from pyflink.datastream import RuntimeContext

from tillstream.conf import Conf
from tillstream.domain.arrival import parse_sale
from tillstream.domain.envelope import unseal
from tillstream.domain.loyalty.ledger import DAY_MS, Account, LoyaltyRules, Refused, Terms, apply
from tillstream.domain.loyalty.notices import redemption_notice
from tillstream.domain.transaction import InvalidTransaction
from tillstream.state_schemas.keyed import loyalty_account
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings


class LoyaltyLedger(BatchedStage):
    """Keyed by customer. In: enveloped transactions. Out: ledger entries as JSON bytes;
    to the side: dead letters and, unless ``notify`` is off, notices as JSON bytes."""

    codec = loyalty_account.CODEC
    sides = (DEAD_LETTERS, "notices")

    def __init__(self, settings: StageSettings, rules: LoyaltyRules, notify: bool = True) -> None:
        super().__init__(settings)
        self.rules = rules
        self.notify = notify

    def start(self, runtime_context: RuntimeContext) -> None:
        self.json = msgspec.json.Encoder().encode

    def record(self, state: Account | None, value: bytes, out: Outputs) -> Account | None:
        envelope = unseal(value)
        try:
            transaction = parse_sale(envelope, self.settings.clock_ahead_ms)
        except InvalidTransaction as error:
            self.refuse(envelope, "validate", error.reason, error.message, out)
            return None
        if transaction.customer_id is None:
            return None
        after, entries = apply(state, transaction, self.rules, envelope.arrived_ms)
        if isinstance(entries, Refused):
            self.refuse(envelope, "apply", entries.reason, entries.message, out)
            return None
        for entry in entries:
            out.emit(self.json(entry))
        # A redemption is one sale in some thirty, so the rule is asked for those alone.
        if transaction.points_to_redeem and self.notify:
            for notice in filter(None, map(redemption_notice, entries)):
                out.emit(self.json(notice), "notices")
        return after


def ledger(conf: Conf) -> LoyaltyLedger:
    """The programme's terms as conf has them."""
    terms = conf.loyalty
    return LoyaltyLedger(
        StageSettings.of("loyalty", conf),
        LoyaltyRules(
            {code: Terms(of.per_point, of.point_value) for code, of in terms.terms.items()},
            horizon_ms=terms.horizon_days * DAY_MS,
            max_postings=terms.max_postings,
        ),
        notify=terms.notify,
    )
