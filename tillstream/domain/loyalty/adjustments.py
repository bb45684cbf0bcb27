"""Changes of points that no till makes: goodwill, expiry, and transfers from one account to another.

A transfer is two entries, one in each account. The first takes the points and sends a `PointsTransfer` to the
other account, at least once; the second posts it once. So no point is lost or made. A job that goes back to
an older state, after a crash too, decides again, perhaps otherwise: the last of two records is right, so one
is sent even where nothing moves.

The contract of an adjustment is state_schemas/events/loyalty_adjustment/v1.json; this is the same contract as
code.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tillstream.domain.documents import Ms, decode, refuse
from tillstream.domain.loyalty.account import Account, Posting
from tillstream.domain.loyalty.entry import LedgerEntry
from tillstream.domain.loyalty.holds import held
from tillstream.domain.loyalty.ledger import (
    NO_ENTRIES,
    NO_REGION,
    LoyaltyRules,
    Refused,
    opened_account,
    pending_points,
    remembered,
)
from tillstream.domain.receipt.contract import Id

MOST = 1_000_000_000
CONFLICT = Refused("id_conflict", "another adjustment with this adjustment_id came before it")
Points = Annotated[int, Meta(ge=-MOST, le=MOST)]
Moved = Annotated[int, Meta(ge=-(2**53), le=2**53)]  # a whole balance
Code = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}\Z")]


class Adjustment(Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """points: of goodwill with its sign; of an expiry at most so many; of a transfer, all if there are none.
    ``by``: the id of the person or system that decided it, for the ledger. ``to``: who gets a transfer."""

    schema: Literal[1]
    adjustment_id: Id
    kind: Literal["goodwill", "expiry", "transfer"]
    customer_id: Id
    reason: Code
    by: Id
    event_time_ms: Ms
    points: Points | None = None
    to: Id | None = None


class PointsTransfer(Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """The second half of a transfer, for the account ``customer_id``: points that ``sender`` has given, below
    zero where it gave its debt."""

    adjustment_id: Id
    customer_id: Id
    sender: Id
    points: Moved
    reason: Code
    by: Id
    event_time_ms: Ms | None = None  # of the adjustment


def parse_adjustment(raw: bytes) -> Adjustment:
    """The adjustment in ``raw`` (UTF-8 JSON). Raises InvalidTransaction, and nothing else."""
    found = decode(raw, Adjustment)
    transfer = found.kind == "transfer"
    if found.to is None and transfer:
        raise refuse("missing_field", "$.to is required for a transfer")
    if found.to is not None and (not transfer or found.to == found.customer_id):
        raise refuse("not_allowed", "$.to is for a transfer, and another customer")
    if found.points is None and not transfer:
        raise refuse("missing_field", "$.points is required")
    if found.points == 0 or (found.kind != "goodwill" and (found.points or 1) < 0):
        raise refuse("out_of_range", "$.points must be at least 1, or of goodwill not 0")
    return found


def parse_transfer(raw: bytes) -> PointsTransfer:
    """Raises InvalidTransaction, and nothing else."""
    return decode(raw, PointsTransfer)


def adjust(
    account: Account | None, change: Adjustment, rules: LoyaltyRules, arrived_ms: int
) -> tuple[Account | None, tuple[LedgerEntry, ...] | Refused, PointsTransfer | None]:
    """The account after ``change``, its entries as `ledger.apply` gives them, and what another one gets."""
    name, said = f"#{change.adjustment_id}", f"{change.kind}/{change.points}/{change.to or ''}"
    if account is not None and (known := account.postings.get(name)) and known.of not in ("", said):
        return None, CONFLICT, None
    account, refused = opened_account(account, name, change.event_time_ms, rules)
    if account is None:
        # It may have been decided otherwise, by a job that has gone back since.
        return None, refused, _sent(change, 0) if isinstance(refused, Refused) else None
    free = account.balance - held(account.holds, arrived_ms)
    kind, points, outcome, reason = change.kind, change.points, "posted", change.reason
    if kind == "goodwill":
        delta = points or 0
    elif kind == "expiry":
        delta = -min(points or 0, max(free, 0))
        if not delta:
            outcome, reason = "nothing_to_expire", "nothing_available"
    else:
        # A card that is replaced takes its debt along, but no debt that points which are pending would pay.
        # What tills were promised stays for their sales.
        owed = min(account.balance + pending_points(account), 0)
        whole = owed if account.balance < 0 else max(free, 0)
        delta = -(whole if points is None else points)
        if points is not None and points > free:
            delta, outcome, reason = 0, "transfer_refused", "insufficient_balance"
    ending, posted_as = ("#out", "transfer_out") if change.to else ("", str(kind))
    entry = _post(account, name, ending, posted_as, outcome, reason, delta, change, change.to,
                  change.event_time_ms)  # fmt: skip
    account.postings[name].of = said
    remembered(account, change.event_time_ms, arrived_ms, rules)
    return account, (entry,), _sent(change, -delta)


def _sent(change: Adjustment, points: int) -> PointsTransfer | None:
    if not change.to:
        return None
    return PointsTransfer(
        adjustment_id=change.adjustment_id, customer_id=change.to, sender=change.customer_id,
        points=points, reason=change.reason, by=change.by, event_time_ms=change.event_time_ms,
    )  # fmt: skip


def receive(
    account: Account | None, transfer: PointsTransfer, rules: LoyaltyRules, arrived_ms: int
) -> tuple[Account | None, tuple[LedgerEntry, ...] | Refused]:
    """The account that a transfer is for, after it. It is remembered from its arrival on, and moves the
    account's horizon no further than the adjustment itself would."""
    name = f"#{transfer.adjustment_id}#in"
    known = account.postings.get(name) if account is not None else None
    delta, ending = transfer.points, ""
    if account is not None and known is not None:
        if known.of not in ("", transfer.sender):
            return None, CONFLICT
        delta -= known.total_cents
        ending = f":{account.version + 1}"  # was decided again, otherwise
    elif delta:
        account, refused = opened_account(account, name, arrived_ms, rules)
        if account is None:
            return None, refused
    if account is None or not delta:
        return None, NO_ENTRIES
    entry = _post(account, name, ending, "transfer_in", "posted", transfer.reason, delta,
                  transfer, transfer.sender, arrived_ms)  # fmt: skip
    account.postings[name].total_cents = transfer.points
    account.postings[name].of = transfer.sender
    remembered(account, transfer.event_time_ms or arrived_ms, arrived_ms, rules)
    return account, (entry,)


def _post(
    account: Account, name: str, ending: str, kind: str, outcome: str, reason: str, delta: int,
    change: Adjustment | PointsTransfer, other: str | None, event_ms: int,
) -> LedgerEntry:  # fmt: skip
    account.postings[name] = Posting(event_ms)
    account.balance += delta
    account.version += 1
    return LedgerEntry(
        name + ending, change.customer_id, account.version, change.adjustment_id, other, kind, outcome,
        reason, 0, 0, 0, 0, delta, account.balance, event_ms, 0, NO_REGION, "", made_by=change.by,
        pending=pending_points(account),
    )  # fmt: skip
