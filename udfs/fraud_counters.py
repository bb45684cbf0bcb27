"""The fraud job's first two functions: what is counted at each till, then with each card."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tillstream.domain.card_numbers import contains_card_number
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.fraud import Counters, Label, id_hash, label, observe
from tillstream.domain.transaction import InvalidTransaction, Transaction, parse
from tillstream.state_schemas.keyed import fraud_counters
from tillstream.udfs.batched import BatchedFunction, Outputs
from tillstream.udfs.engine import failed, refuse
from tillstream.udfs.fraud_passing import (
    card_sale,
    is_label,
    label_from,
    label_to_next,
    sale_to_card,
    sale_to_judge,
)

DEAD_LETTERS = 1  # the first side output
_label_of = msgspec.json.Decoder(Label).decode


class CountAtTill(BatchedFunction):
    """Keyed by store and till. In: enveloped transactions and labels. Out: both, for the stage keyed
    by card; to the side: dead letters as JSON bytes."""

    codec = fraud_counters.CODEC

    def __init__(
        self,
        labels_topic: str,
        delay_days: int,
        clock_ahead_ms: int,
        thread_mode: bool = True,
        write_versions: Mapping[str, int] | None = None,
    ) -> None:
        self.labels_origin = f"kafka:{labels_topic}/"
        self.delay_days = delay_days
        self.clock_ahead_ms = clock_ahead_ms
        self.thread_mode = thread_mode
        self.write_versions = write_versions or {}

    def record(self, state: Counters | None, value: bytes, out: Outputs) -> Counters | None:
        envelope = unseal(value)
        if envelope.origin.startswith(self.labels_origin):
            return self._label(state, envelope, out)
        try:
            sale = parse(envelope.raw)
        except InvalidTransaction as error:
            _refused(envelope, "validate", error.reason, error.message, out)
            return None
        if sale.event_time_ms > envelope.arrived_ms + self.clock_ahead_ms:
            message = "event_time_ms is ahead of the broker's clock"
            _refused(envelope, "apply", "clock_ahead", message, out)
            return None
        after, facts, number = None, None, id_hash(sale.transaction_id)
        if sale.kind == "sale":
            after, facts = observe(
                state, number, sale.event_time_ms, sale.total_cents, self.delay_days
            )
        out.emit(
            sale_to_card(judge_key(sale), sale, number, envelope.arrived_ms, facts, envelope.raw)
        )
        return after

    def failed(self, value: bytes, problem: str) -> tuple[int, bytes]:
        return DEAD_LETTERS, failed(unseal(value), "fraud", problem)

    def _label(self, state: Counters | None, envelope: Envelope, out: Outputs) -> Counters | None:
        try:
            verdict = _label_of(envelope.raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _refused(envelope, "label", "not_a_label", _without_value(error), out)
            return None
        if contains_card_number(f"{verdict.transaction_id} {verdict.card_token}"):
            message = "an id looks like a card number"
            _refused(envelope, "label", "card_number", message, out)
            return None
        out.emit(label_to_next(verdict.card_token or judge_key(verdict), verdict))
        return label(state, id_hash(verdict.transaction_id), verdict.event_time_ms, verdict.fraud)


class CountByCard(BatchedFunction):
    """Keyed by card token; what has no card passes by. Out: both kinds, for the judge."""

    codec = fraud_counters.CODEC

    def __init__(
        self,
        delay_days: int,
        thread_mode: bool = True,
        write_versions: Mapping[str, int] | None = None,
    ) -> None:
        self.delay_days = delay_days
        self.thread_mode = thread_mode
        self.write_versions = write_versions or {}

    def record(self, state: Counters | None, value: bytes, out: Outputs) -> Counters | None:
        if is_label(value):
            verdict = label_from(value)
            out.emit(label_to_next(judge_key(verdict), verdict))
            if verdict.card_token is None:
                return None
            number = id_hash(verdict.transaction_id)
            return label(state, number, verdict.event_time_ms, verdict.fraud)
        sale = card_sale(value)
        if sale is None:
            out.emit(sale_to_judge(value, None))
            return None
        after, facts = observe(state, *sale, self.delay_days)
        out.emit(sale_to_judge(value, facts))
        return after


def judge_key(record: Transaction | Label) -> str:
    """The subject, or the till in place of nobody: such a sale leaves no profile there."""
    who = record.customer_id or record.card_token
    return who or f"~{record.store:04d}-{record.till:02d}"


def _refused(envelope: Envelope, stage: str, reason: str, message: str, out: Outputs) -> None:
    out.emit(refuse(envelope, "fraud", stage, reason, message)[1], DEAD_LETTERS)


def _without_value(error: Exception) -> str:
    """msgspec's message without the value it may quote: it may be what must not be written down."""
    return str(error).split(", got")[0].split("invalid value")[0][:200]
