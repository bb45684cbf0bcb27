"""A rule set tried on transactions of the past: what it would have held, and at what cost.

The same pure rules as the job, in memory: transactions in order of event time, labels when they
became known. Nothing is sent, nothing is stored.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from tillstream.domain.fraud.counters import (
    DAY_MS,
    CounterFacts,
    Counters,
    id_hash,
    observe,
)
from tillstream.domain.fraud.counters import label as label_counters
from tillstream.domain.fraud.decision import Decision, Label
from tillstream.domain.fraud.judge import apply_label, judge_both
from tillstream.domain.fraud.profile import Profile, subject, terminal
from tillstream.domain.fraud.ruleset import Rules
from tillstream.domain.fraud.signals import Facts
from tillstream.domain.transaction import Transaction


class Tally(msgspec.Struct):
    """Outcomes of one rule set over the run.

    frauds_*: of the sales labelled as fraud, by outcome; *_cents: their worth in cents of whatever
    currency they were in. stopped: held or reviewed.
    """

    version: str
    judged: int = 0
    held: int = 0
    reviewed: int = 0
    held_frauds: int = 0
    reviewed_frauds: int = 0
    frauds: int = 0
    held_cents: int = 0
    held_fraud_cents: int = 0
    fraud_cents: int = 0
    reasons: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def precision(self) -> float | None:
        """Of the held sales, the share that was fraud."""
        return self.held_frauds / self.held if self.held else None

    @property
    def recall(self) -> float | None:
        """Of the frauds, the share that was held."""
        return self.held_frauds / self.frauds if self.frauds else None

    def take(self, decision: Decision, fraud: bool) -> None:
        self.judged += 1
        cents = decision.total_cents
        self.frauds += fraud
        self.fraud_cents += fraud * cents
        if decision.outcome == "pass":
            return
        for reason in decision.reasons:
            self.reasons[reason.code] += 1
        if decision.outcome == "hold":
            self.held += 1
            self.held_frauds += fraud
            self.held_cents += cents
            self.held_fraud_cents += fraud * cents
        else:
            self.reviewed += 1
            self.reviewed_frauds += fraud


class Difference(NamedTuple):
    """A sale on which the two rule sets disagree."""

    transaction_id: str
    live: str
    tried: str
    live_score: float
    tried_score: float
    fraud: bool


class DryRun(NamedTuple):
    """tried, live: tallies of the two sets (live is None without one). differences: the first
    ``keep`` sales judged otherwise, differing: how many there are. seconds: what the run took;
    judge_us: mean cost of weighing and judging a transaction with the tried set, in microseconds."""

    tried: Tally
    live: Tally | None
    differences: list[Difference]
    differing: int
    seconds: float
    judge_us: float


class Bench:
    """The state of all keys in memory, and the way of a transaction through it."""

    def __init__(self, rules: Rules, delay_days: int = 7) -> None:
        self.rules = rules
        self.delay_days = delay_days
        self.cards: dict[str, Counters] = {}
        self.tills: dict[str, Counters] = {}
        self.profiles: dict[str, Profile] = {}

    def facts(self, txn: Transaction, at_ms: int) -> Facts:
        """Counts a sale by card and by till."""
        key = id_hash(txn.transaction_id)
        cents = txn.total_cents
        card: CounterFacts | None = None
        if txn.card_token:
            counters, card = observe(
                self.cards.get(txn.card_token), key, at_ms, cents, self.delay_days
            )
            self.cards[txn.card_token] = counters
        till = terminal(txn)
        counters, seen = observe(self.tills.get(till), key, at_ms, cents, self.delay_days)
        self.tills[till] = counters
        return Facts(card, seen)

    def judge(
        self, txn: Transaction, at_ms: int
    ) -> tuple[Decision | None, list[float], Profile | None]:
        """The decision, the signals behind it, and the profile after it."""
        if txn.kind != "sale":
            return None, [], None
        who = subject(txn)
        before = self.profiles.get(who) if who else None
        judged = judge_both(before, txn, self.facts(txn, at_ms), self.rules, None, at_ms)
        if who and judged.profile is not None:
            self.profiles[who] = judged.profile
        return judged.decision, judged.signals, judged.profile

    def label(self, verdict: Label) -> None:
        """Takes a verdict to all keys it concerns."""
        key = id_hash(verdict.transaction_id)
        till = f"{verdict.store:04d}-{verdict.till:02d}"
        for table, name in ((self.tills, till), (self.cards, verdict.card_token)):
            label_counters(table.get(name or ""), key, verdict.event_time_ms, verdict.fraud)
        who = verdict.customer_id or verdict.card_token
        apply_label(self.profiles.get(who or ""), verdict, self.rules)


def dry_run(
    transactions: Iterable[Transaction],
    frauds: Mapping[str, Label],
    tried: Rules,
    live: Rules | None = None,
    delay_days: int = 7,
    keep: int = 100,
) -> DryRun:
    """Runs ``tried`` over transactions in order of event time, ``live`` beside it.

    ``frauds``: verdicts of fraud by transaction id. Each reaches counters and profiles at its
    ``labelled_ms``, or ``delay_days`` after its sale if it says 0, and never before. Each set has
    state of its own, for what one holds the other may learn.
    """
    benches = [Bench(tried, delay_days)] + ([Bench(live, delay_days)] if live else [])
    tallies = [Tally(bench.rules.version) for bench in benches]
    differences: list[Difference] = []
    differing = n = 0
    waiting: list[tuple[int, str]] = []
    spent = 0.0
    began = time.perf_counter()
    for txn in transactions:
        now = txn.event_time_ms
        while waiting and waiting[0][0] <= now:
            verdict = frauds[heapq.heappop(waiting)[1]]
            for bench in benches:
                bench.label(verdict)
        fraud = frauds.get(txn.transaction_id)
        if fraud is not None and fraud.fraud:
            known = fraud.labelled_ms or txn.event_time_ms + delay_days * DAY_MS
            heapq.heappush(waiting, (known, txn.transaction_id))
        made = []
        for bench, tally in zip(benches, tallies, strict=True):
            before = time.perf_counter()
            decision = bench.judge(txn, now)[0]
            if bench is benches[0]:
                spent += time.perf_counter() - before
            if decision is not None:
                tally.take(decision, fraud is not None and fraud.fraud)
                made.append(decision)
        n += 1
        if len(made) == 2 and made[0].outcome != made[1].outcome:
            differing += 1
            if len(differences) < keep:
                differences.append(
                    Difference(
                        txn.transaction_id,
                        made[1].outcome,
                        made[0].outcome,
                        made[1].score,
                        made[0].score,
                        fraud is not None and fraud.fraud,
                    )
                )
    seconds = time.perf_counter() - began
    return DryRun(
        tallies[0],
        tallies[1] if live else None,
        differences,
        differing,
        seconds,
        spent / n * 1e6 if n else 0.0,
    )
