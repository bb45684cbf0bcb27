"""A household: several customers whose points are in one account.

Who is in one, and since when, is known to Households.java, before the ledger. Here is the contract of the
event by which a customer joins or leaves, state_schemas/events/household/v1.json, as code: the ledger's stage
says with it why a record was refused. HouseholdEvent.java is the same contract.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tillstream.domain.documents import Ms, decode, refuse
from tillstream.domain.loyalty.account import ACCOUNT
from tillstream.domain.loyalty.adjustments import NO_REGION, Code
from tillstream.domain.loyalty.ledger import ELSEWHERE
from tillstream.domain.loyalty.parts import Part
from tillstream.domain.receipt.contract import Id

# One character less than an id, for each becomes a part of one.
OwnId = Annotated[str, Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,52}\Z")]
Some = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class HouseholdEvent(Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """points: what moves from the customer's account to the household's, or back: all, none, or of a
    leaving so many. ``event_time_ms``: from when on. ``by``: the id of who decided it."""

    schema: Literal[1]
    event_id: OwnId
    kind: Literal["join", "leave"]
    customer_id: Id
    household_id: OwnId
    reason: Code
    by: Id
    event_time_ms: Ms
    points: Literal["all", "none"] | Some | None = None


def parse_household(raw: bytes) -> HouseholdEvent:
    """The event in ``raw`` (UTF-8 JSON). Raises InvalidTransaction, and nothing else."""
    found = decode(raw, HouseholdEvent)
    if found.customer_id.startswith(ACCOUNT):
        raise refuse("not_allowed", "$.customer_id must be a customer's, not a household's")
    if found.kind == "join" and found.points is None:
        raise refuse("missing_field", "$.points is required to join")
    if found.kind == "join" and not isinstance(found.points, str):
        raise refuse("not_allowed", "$.points must be all or none to join")
    return found


def posted_elsewhere(receipt: str, account: str, sold_ms: int) -> Part:
    """Takes back what a receipt did in ``account`` when it came there again: it counts in another one, where
    its customer had points when it came first. Of what was sold alone: a return that is elsewhere has taken
    nothing here, or as a claim what it had to."""
    return Part(
        receipt + ELSEWHERE, "void", sold_ms, account, 0, NO_REGION, "", 0, refers_to=receipt
    )
