"""Card transactions streamed through the pure rules of the fraud job, in order, labels a week late.

A terminal becomes a till, a customer a customer with one card. There are no products, no places and
no other means of payment in such data, so the signals that need them cannot be measured.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.fraud.protocol import DELAY, Data
from tillstream.domain.fraud.counters import Counters, id_hash, label, observe
from tillstream.domain.fraud.decision import Label
from tillstream.domain.fraud.judge import apply_label, judge_both
from tillstream.domain.fraud.profile import Profile
from tillstream.domain.fraud.ruleset import Rules
from tillstream.domain.fraud.sale import Line, Sale
from tillstream.domain.fraud.signals import NAMES, Facts

DAY_MS = 86_400_000
TILLS = 99  # of a store


class Streamed(NamedTuple):
    """signals: one row for each transaction from ``first`` on, in the order of NAMES; scores: of the
    rules; outcomes: how many sales passed, were reviewed, were held."""

    first: int
    signals: np.ndarray
    scores: np.ndarray
    outcomes: dict[str, int]


def transaction(data: Data, n: int) -> Sale:
    """The n-th transaction as the rules are given it."""
    terminal, customer, cents = int(data.terminal[n]), int(data.customer[n]), int(data.cents[n])
    time_ms = int(data.time_ms[n])
    return Sale(
        transaction_id=f"handbook-{int(data.number[n]):010d}",
        store=terminal // TILLS % 2900 + 1,
        region="handbook",
        till=str(terminal % TILLS + 1),
        payment_method="card",
        event_time_ms=time_ms,
        arrived_ms=time_ms,
        currency="EUR",
        lines=(Line("sale", cents, category="purchase"),),
        total_cents=cents,
        kind="sale",
        customer_id=f"C{customer:010d}",
        card_token=f"tok_{customer:x}".ljust(20, "x"),
    )


def verdict(txn: Sale, fraud: bool, at_ms: int) -> Label:
    """The label of a transaction, known at ``at_ms``."""
    return Label(
        txn.transaction_id, fraud, txn.event_time_ms, at_ms, txn.store, txn.till,
        txn.customer_id, txn.card_token, "chargeback",
    )  # fmt: skip


def run(
    data: Data, rules: Rules, first: int, last: int, progress: Callable[[int], None]
) -> Streamed:
    """Streams the transactions before ``last``; keeps what is measured from ``first`` on.

    Every fraud's label comes a week after its sale, and so does the release of an honest sale that
    was held: nothing is known earlier.
    """
    signals = np.empty((last - first, len(NAMES)), dtype=np.float32)
    scores = np.empty(last - first)
    tills: dict[int, Counters] = {}
    cards: dict[int, Counters] = {}
    profiles: dict[int, Profile] = {}
    waiting: deque[tuple[int, Sale, bool]] = deque()
    outcomes = {"pass": 0, "review": 0, "hold": 0}
    late_ms = DELAY * DAY_MS
    columns = (data.customer, data.terminal, data.fraud)
    rows = zip(*(column[:last].tolist() for column in columns), strict=True)
    for n, (customer, terminal, fraud) in enumerate(rows):
        txn = transaction(data, n)
        now = txn.event_time_ms
        while waiting and waiting[0][1].event_time_ms + late_ms <= now:
            place, old, bad = waiting.popleft()
            key = id_hash(old.transaction_id)
            who, where = int(data.customer[place]), int(data.terminal[place])
            label(tills[where], key, old.event_time_ms, bad)
            label(cards[who], key, old.event_time_ms, bad)
            apply_label(profiles[who], verdict(old, bad, old.event_time_ms + late_ms), rules)
        key = id_hash(txn.transaction_id)
        tills[terminal], till = observe(tills.get(terminal), key, now, txn.total_cents, DELAY)
        cards[customer], card = observe(cards.get(customer), key, now, txn.total_cents, DELAY)
        judged = judge_both(
            profiles.get(customer), txn, Facts(card, till), rules, None, now, whole=False
        )
        assert judged.profile is not None
        assert judged.decision is not None
        profiles[customer] = judged.profile
        outcomes[judged.decision.outcome] += 1
        if n >= first:
            signals[n - first] = judged.signals
            scores[n - first] = judged.decision.score
        if fraud or judged.decision.outcome == "hold":
            waiting.append((n, txn, fraud))
        if n % 10_000 == 0:
            progress(n)
    return Streamed(first, signals, scores, outcomes)
