"""Transfers between accounts that remember little, in a job that crashes: no order of records makes or
destroys a point.

The job reads topics, goes back to its last checkpoint, and reads them again from there. What it sent before
the crash stays sent.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.domain.loyalty.test_adjustments import change
from tests.support.sales import T0
from tillstream.domain.loyalty.adjustments import adjust, receive
from tillstream.domain.loyalty.ledger import LoyaltyRules, Refused

CUSTOMERS = ("C0000000001", "C0000000002")
RULES = LoyaltyRules(horizon_ms=1_000, max_postings=8)
TOPICS = ("adjustments", "tills", "words")


class Job:
    """What a checkpoint has: accounts, positions by topic and customer, and what goodwill gave, by its id."""

    def __init__(self) -> None:
        self.accounts: dict[str, Any] = {}
        self.read = {(topic, one): 0 for topic in TOPICS for one in CUSTOMERS}
        self.given: dict[str, int] = {}


class Bank(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.job = Job()
        # Of each topic and customer its records: what it is, and when it arrived.
        self.topics: dict[tuple[str, str], list[tuple[Any, int]]] = {
            place: [] for place in self.job.read
        }
        self.now, self.ids = T0, 0
        for whose in CUSTOMERS:
            self._ask("goodwill", whose, 500, 0)
            self._read("adjustments", whose)
        self.saved = copy.deepcopy(self.job)

    def _send(self, topic: str, customer: str, record: Any) -> None:
        self.now += 1
        self.topics[topic, customer].append((record, self.now))

    def _read(self, topic: str, customer: str) -> bool:
        place = self.job.read[topic, customer]
        records = self.topics[topic, customer]
        if place == len(records):
            return False
        record, arrived_ms = records[place]
        self.job.read[topic, customer] = place + 1
        account, word = self.job.accounts.get(customer), None
        if topic == "words":
            after, made = receive(account, record, RULES, arrived_ms)
            assert not isinstance(made, Refused), "the other account has given these points"
        else:
            after, made, word = adjust(
                account, record, RULES, arrived_ms, f"{topic}/{customer}/{place}"
            )
        if after is not None:
            self.job.accounts[customer] = after
        for entry in () if isinstance(made, Refused) else made:
            if entry.kind == "goodwill":
                assert entry.entry_id not in self.job.given
                self.job.given[entry.entry_id] = entry.delta
        if word is not None:
            self._send("words", word.customer_id, word)
        return True

    @rule(
        whose=st.sampled_from(CUSTOMERS), points=st.integers(-50, 100).filter(bool),
        ago=st.sampled_from([0, 0, 5, 1_100]),
    )  # fmt: skip
    def a_person_gives_points(self, whose: str, points: int, ago: int) -> None:
        self._ask("goodwill", whose, points, ago)

    @rule(
        ends=st.permutations(CUSTOMERS), points=st.sampled_from([None, 1, 50]),
        ago=st.sampled_from([0, 0, 5, 1_100]),
    )  # fmt: skip
    def points_are_moved(self, ends: list[str], points: int | None, ago: int) -> None:
        to = ends[1]
        asked = [one for who in CUSTOMERS for one, _ in self.topics["adjustments", who]]
        if len({one.adjustment_id for one in asked if one.to == to}) < RULES.max_postings:
            self._ask("transfer", ends[0], points, ago, to)

    def _ask(
        self, kind: str, whose: str, points: int | None, ago: int, to: str | None = None
    ) -> None:
        self.ids += 1
        at_ms, name = self.now - ago, f"desk-{self.ids:03d}"
        one = change(kind, points, name, customer_id=whose, to=to, event_time_ms=at_ms)
        self._send("adjustments", whose, one)

    @precondition(lambda self: any(self.topics["adjustments", one] for one in CUSTOMERS))
    @rule(data=st.data(), other=st.booleans())
    def an_adjustment_is_sent_again(self, data: st.DataObject, other: bool) -> None:
        """``other``: with other points."""
        some = [one for who in CUSTOMERS for one, _ in self.topics["adjustments", who]]
        one = data.draw(st.sampled_from(some))
        if other:
            one = msgspec.structs.replace(one, points=(one.points or 0) + 1 or 1)
        self._send("adjustments", one.customer_id, one)

    @rule(
        whose=st.sampled_from(CUSTOMERS), count=st.sampled_from([2, 9, 12]), together=st.booleans()
    )
    def a_card_is_busy(self, whose: str, count: int, together: bool) -> None:
        """``together``: all at one moment."""
        at_ms = self.now
        for _ in range(count):
            self.ids += 1
            at_ms = at_ms if together else self.now
            self._send("tills", whose, change("goodwill", 1, f"till-{self.ids:03d}", customer_id=whose,
                                              event_time_ms=at_ms))  # fmt: skip

    @rule(
        topic=st.sampled_from(TOPICS),
        whose=st.sampled_from(CUSTOMERS),
        count=st.sampled_from([1, 40]),
    )
    def the_job_reads_on(self, topic: str, whose: str, count: int) -> None:
        for _ in range(count):
            self._read(topic, whose)

    @rule()
    def a_checkpoint_is_made(self) -> None:
        self.saved = copy.deepcopy(self.job)

    @rule()
    def the_job_crashes(self) -> None:
        self.job = copy.deepcopy(self.saved)

    def teardown(self) -> None:
        while any([self._read(topic, one) for topic in TOPICS for one in CUSTOMERS]):
            pass
        balances = {whose: one.balance for whose, one in self.job.accounts.items()}
        assert sum(balances.values()) == sum(self.job.given.values()), balances


def test_no_transfer_makes_or_destroys_points_whatever_repeats_is_late_or_crashes():
    run_state_machine_as_test(
        Bank, settings=settings(max_examples=150, stateful_step_count=40, deadline=None)
    )
