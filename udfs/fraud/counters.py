"""The fraud job's first two stages: what is counted at each till, then with each card."""

from __future__ import annotations

import msgspec

from tillstream.domain.arrival import refuse_ahead
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.fraud.card import (
    forget_refunds,
    observe_card,
    observe_refund,
    refund_of,
    void_refund,
)
from tillstream.domain.fraud.counters import Counters, Refund, began, id_hash, label, observe
from tillstream.domain.fraud.decision import Label, parse_label, yes_of_customer
from tillstream.domain.fraud.places import Places
from tillstream.domain.fraud.sale import Sale, made_of, read, read_receipt, terminal
from tillstream.domain.rates import Rates
from tillstream.domain.receipt.reading import opened
from tillstream.domain.staff import Act, act_of, acts_of_refund, acts_undone
from tillstream.domain.transaction import InvalidTransaction
from tillstream.state_schemas.keyed import fraud_counters
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.passing.fraud import (
    SaleHead,
    label_to_next,
    raw_at_card,
    read_at_card,
    sale_to_card,
    sale_to_judge,
)
from tillstream.udfs.passing.staff import STAFF, to_cashier
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings


class CountAtTill(BatchedStage):
    """Keyed by store and till. In: enveloped transactions of the front door, and labels. Out: both, for
    the stage keyed by card; to the sides: what concerns a cashier, for the stage keyed by that, and
    dead letters as JSON bytes."""

    title = "count at the till"
    codec = fraud_counters.CODEC
    sides = (STAFF, DEAD_LETTERS)

    def __init__(
        self,
        settings: StageSettings,
        labels_topic: str,
        delay_days: int,
        rates: Rates,
        refunds_after_ms: int,
    ) -> None:
        """``refunds_after_ms``: how long a till is known before money that it gives back to a card is looked
        at: before, nobody can say that the card did not buy."""
        super().__init__(settings)
        self.labels_origin = f"kafka:{labels_topic}/"
        self.delay_days, self.rates, self.refunds_after_ms = delay_days, rates, refunds_after_ms

    def record(self, state: Counters | None, value: bytes, out: Outputs) -> Counters | None:
        envelope = self.sent(value)
        if envelope.origin.startswith(self.labels_origin):
            return self._label(state, envelope, out)
        try:
            sale = read(envelope)
        except InvalidTransaction as error:
            self.refuse(envelope, "validate", error.reason, error.message, out)
            return None
        after, facts, number = None, None, id_hash(sale.transaction_id)
        at_ms, money = min(sale.event_time_ms, sale.arrived_ms), None
        if sale.kind == "sale":
            money = self.rates.convert(sale.total_cents, sale.currency, self.rates.own, at_ms)
            after, facts = observe(
                state, number, sale.event_time_ms, money or 0, self.delay_days, sale.arrived_ms
            )
            began(after, sale.arrived_ms)
        elif sale.to_card:
            after = began(state, sale.arrived_ms)
            if sale.arrived_ms - after.since_ms >= self.refunds_after_ms:
                money = self.rates.convert(sale.to_card, sale.currency, self.rates.own, at_ms)
        if (act := act_of(sale, envelope.raw, self.rates)) is not None:
            out.emit(to_cashier(act), STAFF)
        out.emit(sale_to_card(judge_key(sale), sale, number, money, facts, envelope.raw))
        return after

    def sent(self, value: bytes) -> Envelope:
        envelope = unseal(value)
        return envelope if envelope.origin.startswith(self.labels_origin) else opened(value)

    def _label(self, state: Counters | None, envelope: Envelope, out: Outputs) -> Counters | None:
        verdict = parse_label(envelope.raw)
        # The later one says how long a subject is watched.
        latest_ms = max(verdict.event_time_ms, verdict.labelled_ms)
        refuse_ahead(latest_ms, "a time", envelope, self.settings.clock_ahead_ms)
        out.emit(label_to_next(verdict.card_token or judge_key(verdict), verdict))
        if yes_of_customer(verdict):
            return None
        return label(state, id_hash(verdict.transaction_id), verdict.event_time_ms, verdict.fraud)


class CountByCard(BatchedStage):
    """Keyed by card token; what has no card passes by. In: what `CountAtTill` makes. Out: both kinds,
    for the judge; to the sides: refunds to cards that did not buy, for the stage keyed by cashier, and dead
    letters as JSON bytes."""

    title = "count by card"
    codec = fraud_counters.CODEC
    sides = (STAFF, DEAD_LETTERS)

    def __init__(
        self, settings: StageSettings, delay_days: int, places: Places, currency: str
    ) -> None:
        super().__init__(settings)
        self.delay_days, self.places, self.currency = delay_days, places, currency

    def record(self, state: Counters | None, value: bytes, out: Outputs) -> Counters | None:
        came = read_at_card(value)
        if isinstance(came, Label):
            out.emit(label_to_next(judge_key(came), came))
            if came.card_token is None or yes_of_customer(came):
                return None
            after = label(state, id_hash(came.transaction_id), came.event_time_ms, came.fraud)
            if after is not None:
                forget_refunds(after, came.labelled_ms)
            return after
        if came.refund:
            return self._refund(state, came, value, out)
        if not came.counted:
            out.emit(sale_to_judge(value, None))
            return None
        after, facts, habit = observe_card(
            state, came.number, came.event_time_ms, came.money, came.store, came.there,
            self.delay_days, came.arrived_ms, self.places,
        )  # fmt: skip
        out.emit(sale_to_judge(value, facts, habit))
        return after

    def _refund(
        self, state: Counters | None, head: SaleHead, value: bytes, out: Outputs
    ) -> Counters | None:
        sale, after, facts = made_of(read_receipt(raw_at_card(value)), head.arrived_ms), None, None
        if sale.card_token and head.money:
            refund = refund_of(sale, head.money)
            seen = observe_refund(state, refund, sale.undoes)
            if seen is not None:
                after, facts = seen
                for act in self._acts(refund, sale.transaction_id, sale.card_token):
                    out.emit(to_cashier(act), STAFF)
        elif sale.card_token and state is not None and sale.kind == "void":
            for undone in sale.undoes:
                gone = void_refund(state, id_hash(undone))
                if gone is not None:
                    after = state
                    for act in acts_undone(self._acts(gone, undone, sale.card_token)):
                        out.emit(to_cashier(act), STAFF)
        out.emit(sale_to_judge(value, None, refund=facts))
        return after

    def _acts(self, refund: Refund, transaction_id: str, card: str) -> list[Act]:
        return acts_of_refund(refund, transaction_id, card, self.currency)

    def sent(self, value: bytes) -> Envelope:
        came = read_at_card(value)
        if isinstance(came, Label):
            return self.part(msgspec.json.encode(came), typed=True)
        return self.part(raw_at_card(value), came.arrived_ms, typed=True)


def judge_key(record: Sale | Label) -> str:
    """The subject, or the till in place of nobody: there only the ids of such sales are kept."""
    who = record.customer_id or record.card_token
    return who or f"~{terminal(record.store, record.till)}"
