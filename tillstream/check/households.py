"""Which account points are in, for the check alone: written from docs/jobs/loyalty.md, not from the job.

Of a member's record the time decides. An event that was sent after the record may have come too late for it:
then both accounts are right, and the ledger says which it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from tillstream.check.rules import ALL, ELSEWHERE, Sent

PREFIX = "household:"


class Event(NamedTuple):
    """Sorts as it counts. ``place``: of its line among what was sent. points: ALL, or how many move."""

    at_ms: int
    id: str
    place: int
    joins: bool
    customer: str
    household: str
    points: int


def event(record: dict[str, Any], place: int) -> Event:
    """Of a line of sent.jsonl."""
    points = record.get("points", "none")
    return Event(
        record["event_time_ms"],
        record["event_id"],
        place,
        record["kind"] == "join",
        record["customer_id"],
        PREFIX + record["household_id"],
        ALL if points == "all" else 0 if points == "none" else points,
    )


class Households:
    """Of each customer who was in one, by what was sent."""

    def __init__(self, events: Iterable[Event]) -> None:
        first: dict[tuple[str, str], Event] = {}
        for one in events:
            first.setdefault((one.customer, one.id), one)
        self.of: dict[str, list[Event]] = {}
        for one in sorted(first.values()):
            self.of.setdefault(one.customer, []).append(one)

    @property
    def accounts(self) -> set[str]:
        """All whose order members decide together, and the members' own."""
        return {one.household for events in self.of.values() for one in events} | self.of.keys()

    def members(self, account: str) -> set[str]:
        return {who for who, events in self.of.items() if account in {e.household for e in events}}

    def may_be(self, customer: str, at_ms: int, place: int) -> list[str]:
        """Accounts in which a record of that time may be, the likelier first."""
        events = [one for one in self.of.get(customer, ()) if one.at_ms <= at_ms]
        known = [one for one in events if one.place < place]
        return list(dict.fromkeys([_last(customer, events), _last(customer, known)]))

    def moves(self) -> Iterable[tuple[str, Sent]]:
        """The two halves of what moves into a household, or out of one that the customer was in."""
        for customer, events in self.of.items():
            for n, one in enumerate(events):
                inside = _last(customer, events[:n]) == one.household
                if one.points and (one.joins or inside):
                    giver, taker = customer, one.household
                    if not one.joins:
                        giver, taker = taker, giver
                    half = Sent(PREFIX + one.id, "transfer_out", 0, one.points, None)
                    yield giver, half
                    yield taker, half._replace(kind="transfer_in")


def _last(customer: str, events: Iterable[Event]) -> str:
    account = customer
    for one in events:
        if one.joins:
            account = one.household
        elif account == one.household:
            account = customer
    return account


def by_account(
    sent: Mapping[str, list[Sent]],
    when: Mapping[str, tuple[int, int]],
    households: Households,
    entries: Collection[tuple[str, str]],
) -> dict[str, list[Sent]]:
    """What customers ``sent``, by the account where it is. when: time and place of what was sent, by its id.
    entries: account and id of what is in the ledger."""
    if not households.of:
        return dict(sent)
    out: dict[str, list[Sent]] = {customer: [] for customer in sent}
    for customer, parts in sent.items():
        for one in parts:
            receipt = one.id.partition("#")[0]
            may_be = households.may_be(customer, *when.get(receipt, (0, 0)))
            back = receipt + ELSEWHERE
            # Where it came again, that account had to take it back.
            again = {account for account in {customer, *may_be} if (account, back) in entries}
            found = [of for of in may_be if (of, one.entry_id) in entries and of not in again]
            own = one.kind in ("expiry", "transfer_out")
            out.setdefault(customer if own else (found or may_be)[0], []).append(one)
            for other in again:
                # A return may have come there as a claim alone.
                here = one.kind == "sale" or (other, one.entry_id) in entries
                back_there = Sent(back, "void", 0, 0, receipt)
                out.setdefault(other, []).extend([one, back_there] if here else [back_there])
    return out
