"""The loyalty job's stage: read, apply the rule to each part of the receipt, emit ledger entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace
from pyflink.datastream import RuntimeContext

from tillstream.conf import Conf
from tillstream.domain.arrival import refuse_ahead
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.loyalty.account import Account
from tillstream.domain.loyalty.adjustments import (
    Adjustment,
    adjust,
    parse_adjustment,
    parse_move,
    parse_transfer,
    receive,
)
from tillstream.domain.loyalty.held import parse_order
from tillstream.domain.loyalty.holds import parse_request
from tillstream.domain.loyalty.households import ACCOUNT, parse_household, posted_elsewhere
from tillstream.domain.loyalty.ledger import (
    DAY_MS,
    LedgerEntry,
    LoyaltyRules,
    Refused,
    Terms,
    apply,
)
from tillstream.domain.loyalty.notices import redemption_notice
from tillstream.domain.loyalty.orders import on_order
from tillstream.domain.loyalty.parts import Part, claimed_of, parts, read
from tillstream.domain.loyalty.requests import on_request
from tillstream.domain.receipt.reading import NOT_CANONICAL, arrival, opened
from tillstream.domain.transaction import InvalidTransaction
from tillstream.state_schemas.keyed import loyalty_account
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.passing import loyalty as passing
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings

# Topics beside the transactions, as they are usually called.
KINDS = {
    "points-requests": "request",
    "loyalty-adjustments": "adjustment",
    "points-transfers": "transfer",
    "holds": "hold",
    "households": "household",
}
# Why a household's event does not count, where it matches its contract.
UNCOUNTED = {
    "id_conflict": "another event with this event_id came before it",
    "beyond_horizon": "older than what is remembered of this customer's households",
}
Entries = Iterable[LedgerEntry] | Refused


class LoyaltyLedger(BatchedStage):
    """Keyed by customer. In: what `passing.loyalty` has. Out: ledger entries as JSON bytes;
    to the side: dead letters, answers to tills, transfers to other accounts and, unless
    ``notify`` is off, notices as JSON bytes."""

    codec = loyalty_account.CODEC
    sides = (DEAD_LETTERS, "notices", "points-answers", "points-transfers")

    def __init__(
        self, settings: StageSettings, rules: LoyaltyRules, notify: bool = True,
        kinds: Mapping[str, str] = KINDS,
    ) -> None:  # fmt: skip
        """``kinds``: topic -> request, adjustment, transfer, hold or household."""
        super().__init__(settings)
        self.rules = rules
        self.notify = notify
        self.kinds = dict(kinds)
        self.documents = tuple(f"kafka:{topic}/".encode() for topic in kinds)
        self.made = {
            passing.CLAIM: self._claimed,
            passing.MEMBER: self._member,
            passing.MOVE: self._moved,
            passing.REFUSED: self._refused,
            passing.ELSEWHERE: self._elsewhere,
        }
        self.other = (*self.made, *self.documents)

    def start(self, runtime_context: RuntimeContext) -> None:
        self.json = msgspec.json.Encoder().encode

    def record(self, state: Account | None, value: bytes, out: Outputs) -> Account | None:
        if not value.startswith(self.other):
            return self._transaction(state, opened(value), out)
        if value.startswith(self.documents):
            return self._document(state, unseal(value), out)
        return self.made[value[: value.index(b":") + 1]](state, value, out)

    def _transaction(
        self, state: Account | None, envelope: Envelope, out: Outputs, account: str = "",
    ) -> Account | None:  # fmt: skip
        """``account``: of the household that the customer was in, "" for the customer's own."""
        try:
            receipt = read(envelope.raw)
        except InvalidTransaction as error:
            self.refuse(envelope, "validate", error.reason, error.message, out)
            return None
        if not receipt.customer:
            return None
        if receipt.customer.startswith(ACCOUNT):  # the front door lets no such customer through
            self.refuse(envelope, "validate", NOT_CANONICAL, "$.customer is a household", out)
            return None
        member = receipt.customer if account else ""
        if account:
            receipt = replace(receipt, customer=account)
        found = parts(receipt, self.rules.earn_nothing)
        return self._post(state, found, envelope, receipt.arrived_ms, out, member)

    def _member(self, state: Account | None, value: bytes, out: Outputs) -> Account | None:
        account, customer, came = passing.member(value)
        if came.startswith(self.documents):
            return self._document(state, unseal(came), out, account, customer)
        return self._transaction(state, opened(came), out, account)

    def _document(
        self, state: Account | None, envelope: Envelope, out: Outputs, account: str = "",
        member: str = "",
    ) -> Account | None:  # fmt: skip
        """Of a till that waits for its answer, of who changes points without one, of another account, or of
        fraud."""
        kind = self.kinds[envelope.origin.partition(":")[2].rsplit("/", 2)[0]]
        arrived_ms = envelope.arrived_ms
        try:
            if kind == "request":
                request = parse_request(envelope.raw)
                self._in_time(request.event_time_ms, envelope)
                after, told = on_request(state, request, self.rules, arrived_ms)
                out.emit(self.json(told), "points-answers")
                return after
            if kind == "adjustment":
                change = parse_adjustment(envelope.raw)
                self._in_time(change.event_time_ms, envelope)
                if account:
                    change = replace(change, customer_id=account)
                return self._adjust(state, change, envelope, out, member)
            if kind == "transfer":
                transfer = parse_transfer(envelope.raw)
                if account:
                    transfer = replace(transfer, customer_id=account)
                after, made = receive(state, transfer, self.rules, arrived_ms)
                return self._emitted(after, made, envelope, out, member)
            if kind == "hold":
                order = parse_order(envelope.raw)
                self._in_time(order.ordered_at_ms, envelope, "ordered_at_ms")
                if account:
                    order = replace(order, customer_id=account)
                after, told_of = on_order(state, order, self.rules)
                return self._emitted(after, told_of, envelope, out, member)
            self._in_time(parse_household(envelope.raw).event_time_ms, envelope)
        except InvalidTransaction as error:
            self.refuse(envelope, "validate", error.reason, error.message, out)
            return None
        # Households.java takes what matches the contract; a test holds the two readers together.
        self.refuse(envelope, "validate", "bad_format", "not taken for a household's event", out)
        return None

    def _adjust(
        self, state: Account | None, change: Adjustment, envelope: Envelope, out: Outputs,
        member: str = "",
    ) -> Account | None:  # fmt: skip
        after, made, sent_on = adjust(
            state, change, self.rules, envelope.arrived_ms, envelope.origin, member
        )
        if sent_on is not None:
            out.emit(self.json(sent_on), "points-transfers")
        return self._emitted(after, made, envelope, out, member)

    def _emitted(
        self, after: Account | None, made: Entries, envelope: Envelope, out: Outputs, member: str,
    ) -> Account | None:  # fmt: skip
        if isinstance(made, Refused):
            self.refuse(envelope, "apply", made.reason, made.message, out)
        else:
            for entry in made:
                entry.member = member
                out.emit(self.json(entry))
        return after

    def _moved(self, state: Account | None, value: bytes, out: Outputs) -> Account | None:
        """What a customer takes along into a household, or out of it."""
        change, event = passing.move(value)
        return self._adjust(state, parse_move(change), event, out)

    def _refused(self, state: Account | None, value: bytes, out: Outputs) -> None:
        reason, event = passing.refused(value)
        self.refuse(event, "apply", reason, UNCOUNTED[reason], out)

    def _elsewhere(self, state: Account | None, value: bytes, out: Outputs) -> Account | None:
        back = posted_elsewhere(*passing.elsewhere(value))
        # Without an arrival of its own it moves no horizon.
        after, entries = apply(state, back, self.rules, 0)
        if not isinstance(
            entries, Refused
        ):  # else the receipt itself was too old, and has its dead letter
            for entry in entries:
                out.emit(self.json(entry))
        return after

    def _in_time(self, event_ms: int, envelope: Envelope, name: str = "event_time_ms") -> None:
        refuse_ahead(event_ms, name, envelope, self.settings.clock_ahead_ms)

    def _claimed(self, state: Account | None, value: bytes, out: Outputs) -> Account | None:
        """What a receipt of another account, or of nobody known, takes back of one of this account's."""
        came = passing.claim(value)
        try:
            receipt = read(came.transaction.raw)
        except InvalidTransaction:  # has its dead letter, for it came by itself too
            return None
        if not came.owner:
            message = (
                "too many returns of one receipt, or of too many receipts: owners not looked for"
            )
            self.refuse(came.transaction, "apply", "too_many_returns", message, out)
            return None
        found = claimed_of(receipt, came.of, came.owner, self.rules.earn_nothing)
        return self._post(state, found, came.transaction, receipt.arrived_ms, out)

    def _post(
        self, state: Account | None, found: Iterable[Part], envelope: Envelope, arrived_ms: int,
        out: Outputs, member: str = "",
    ) -> Account | None:  # fmt: skip
        changed, arrived_ms = None, arrival(envelope, arrived_ms)
        for part in found:
            after, entries = apply(state, part, self.rules, arrived_ms, changed is not None)
            if isinstance(entries, Refused):
                self.refuse(envelope, "apply", entries.reason, entries.message, out)
                break
            for entry in entries:
                entry.member = member
                out.emit(self.json(entry))
            # A redemption is one sale in some thirty, so the rule is asked for those alone.
            if part.points_to_redeem and self.notify:
                for notice in filter(None, map(redemption_notice, entries)):
                    out.emit(self.json(notice), "notices")
            if after is not None:
                state = changed = after
        return changed

    def sent(self, value: bytes) -> Envelope:
        if value.startswith(passing.MEMBER):
            value = passing.member(value)[2]
        if value.startswith(passing.CLAIM):
            return passing.claim(value).transaction
        if value.startswith(passing.MOVE):
            return passing.move(value)[1]
        if value.startswith(passing.REFUSED):
            return passing.refused(value)[1]
        if value.startswith(passing.ELSEWHERE):
            return self.part(value)
        return unseal(value) if value.startswith(self.documents) else opened(value)


def ledger(conf: Conf, kinds: Mapping[str, str] = KINDS) -> LoyaltyLedger:
    """The programme's terms as conf has them; ``kinds``: as of LoyaltyLedger."""
    terms = conf.loyalty
    kept = conf.state.write_versions.get("loyalty_account", loyalty_account.CURRENT)
    return LoyaltyLedger(
        StageSettings.of("loyalty", conf),
        LoyaltyRules(
            {code: Terms(of.per_point, of.point_value) for code, of in terms.terms.items()},
            horizon_ms=terms.horizon_days * DAY_MS,
            max_postings=terms.max_postings,
            earn_nothing=frozenset(terms.earn_nothing),
            hold_ms=terms.hold_minutes * 60_000,
            # A state that a release of before shall read has no room for what tills were promised, or for
            # what fraud has said.
            max_holds=terms.max_holds if kept >= 3 else 0,
            max_held=LoyaltyRules().max_held if kept >= 4 else 0,
        ),
        notify=terms.notify,
        kinds=kinds,
    )
