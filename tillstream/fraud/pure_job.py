"""The fraud job without an engine: its three stages over dicts, in one process.

The same pure rules, called in the same order as udfs/fraud/ calls them, which a test holds to the
real job. For dry runs, benchmarks and tests.
"""

from __future__ import annotations

import msgspec

from tillstream.domain.fraud.card import observe_card, observe_refund, refund_of, void_refund
from tillstream.domain.fraud.counters import Counters, id_hash, label, observe
from tillstream.domain.fraud.decision import Decision, Label, yes_of_customer
from tillstream.domain.fraud.judge import apply_label, judge
from tillstream.domain.fraud.profile import Profile, subject
from tillstream.domain.fraud.ruleset import Rules
from tillstream.domain.fraud.sale import Sale, terminal
from tillstream.domain.fraud.signals import Facts


class PureJob:
    """All states in memory, by till, card and subject."""

    def __init__(self, rules: Rules, delay_days: int = 7) -> None:
        self.rules = rules
        self.delay_days = delay_days
        self.tills: dict[str, Counters] = {}
        self.cards: dict[str, Counters] = {}
        self.profiles: dict[str, Profile] = {}

    def sale(self, txn: Sale, arrived_ms: int) -> Decision | None:
        """What the job would say of ``txn``; None for what is not judged."""
        if txn.kind == "refund":
            return self._refund(txn, arrived_ms)
        if txn.kind == "void" and (known := self.cards.get(txn.card_token or "")) is not None:
            for undone in txn.undoes:
                void_refund(known, id_hash(undone))
        if txn.kind != "sale":
            return None
        number, at_ms, rates = id_hash(txn.transaction_id), txn.event_time_ms, self.rules.rates
        money = rates.convert(txn.total_cents, txn.currency, rates.own, min(at_ms, arrived_ms))
        where = terminal(txn.store, txn.till)
        counters, till = observe(
            self.tills.get(where), number, at_ms, money or 0, self.delay_days, arrived_ms
        )
        self.tills[where] = counters
        card = habit = None
        if txn.card_token is not None:
            counters, card, habit = observe_card(
                self.cards.get(txn.card_token), number, at_ms, money, txn.store, txn.there,
                self.delay_days, arrived_ms, self.rules.places,
            )  # fmt: skip
            self.cards[txn.card_token] = counters
        who = subject(txn) or ""
        profile, decision = judge(
            self.profiles.get(who), txn, Facts(card, till, habit), self.rules, arrived_ms
        )
        if profile is not None:
            self.profiles[who] = profile
        return decision

    def _refund(self, txn: Sale, arrived_ms: int) -> Decision | None:
        at_ms, rates = min(txn.event_time_ms, arrived_ms), self.rules.rates
        money = rates.convert(txn.to_card, txn.currency, rates.own, at_ms)
        if not money or txn.card_token is None:
            return None
        refund = refund_of(msgspec.structs.replace(txn, arrived_ms=arrived_ms), money)
        seen = observe_refund(self.cards.get(txn.card_token), refund, txn.undoes)
        if seen is None:
            return None
        self.cards[txn.card_token], facts = seen
        who = subject(txn) or ""
        given = Facts(None, None, refund=facts)
        profile, decision = judge(self.profiles.get(who), txn, given, self.rules, arrived_ms)
        if profile is not None:
            self.profiles[who] = profile
        return decision

    def verdict(self, verdict: Label) -> None:
        """Takes a label to the till, the card and the subject it belongs to."""
        number = id_hash(verdict.transaction_id)
        where = terminal(verdict.store, verdict.till)
        counts = not yes_of_customer(verdict)
        if counts:
            label(self.tills.get(where), number, verdict.event_time_ms, verdict.fraud)
        if counts and verdict.card_token is not None:
            label(self.cards.get(verdict.card_token), number, verdict.event_time_ms, verdict.fraud)
        who = verdict.customer_id or verdict.card_token or ""
        profile = apply_label(self.profiles.get(who), verdict, self.rules)
        if profile is not None:
            self.profiles[who] = profile
