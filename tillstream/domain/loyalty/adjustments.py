"""Changes of points that no till makes: goodwill, expiry, and transfers from one account to another.

A transfer is two entries, one in each account. The first takes the points and sends a `PointsTransfer` to the
other account, at least once; the second posts it once. So no point is lost or made. A job that goes back to
an older state, after a crash too, decides again, perhaps otherwise: the last of two records is right, so one
is sent even where nothing moves. One that was refused takes back what the same record had given before the
job went back, and nothing else: under another record it may be a repeat of what was posted and is forgotten.

The contract of an adjustment is state_schemas/events/loyalty_adjustment/v1.json; this is the same contract as
code.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tillstream.domain.documents import Ms, decode, refuse
from tillstream.domain.loyalty.account import ACCOUNT, RECEIVED, Account, Posting, new_account
from tillstream.domain.loyalty.entry import LedgerEntry
from tillstream.domain.loyalty.holds import held
from tillstream.domain.loyalty.ledger import (
    BEYOND,
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
    zero where it gave its debt. ``record``: where the adjustment was read. ``refused``: it was not posted."""

    adjustment_id: Id
    customer_id: Id
    sender: Id
    points: Moved
    reason: Code
    by: Id
    event_time_ms: Ms | None = None  # of the adjustment
    record: Annotated[str, Meta(max_length=512)] = ""
    refused: bool = False


def parse_adjustment(raw: bytes) -> Adjustment:
    """The adjustment in ``raw`` (UTF-8 JSON). Raises InvalidTransaction, and nothing else."""
    found = parse_move(raw)
    if found.adjustment_id.startswith(ACCOUNT):  # its name would be that of a household's move
        raise refuse("bad_format", f"$.adjustment_id must not begin with {ACCOUNT}")
    return found


def parse_move(raw: bytes) -> Adjustment:
    """The same, of what moves a household's points too."""
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
    account: Account | None,
    change: Adjustment,
    rules: LoyaltyRules,
    arrived_ms: int,
    record: str = "",
    member: str = "",
) -> tuple[Account | None, tuple[LedgerEntry, ...] | Refused, PointsTransfer | None]:
    """The account after ``change``, its entries as `ledger.apply` gives them, and what another one gets.
    ``record``: where it was read, the same when it is read again after a crash. ``member``: of a household,
    who was given points."""
    name, before = f"#{change.adjustment_id}", f"{change.kind}/{change.points}/{change.to or ''}"
    # An id is the customer's own, so two members of a household may be given points under one.
    whose = member or (change.customer_id if change.customer_id.startswith(ACCOUNT) else "")
    said = f"{before}/{whose}" if whose and change.kind == "goodwill" else before
    if account is not None:
        known, own = account.postings.get(name), f"{name}#of:{whose}"
        taken = known is not None and said != before and _given_to(known) not in ("", whose)
        if taken or own in account.postings:  # the other's may be forgotten since
            name, known = own, account.postings.get(own)
        if known is not None and known.of not in ("", before, said):
            return None, CONFLICT, None
    account, refused = opened_account(account, name, change.event_time_ms, rules)
    if account is None:
        # It may have been decided otherwise, by a job that has gone back since.
        word = _sent(change, 0, record, True) if isinstance(refused, Refused) else None
        return None, refused, word
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
    return account, (entry,), _sent(change, -delta, record)


def _sent(
    change: Adjustment, points: int, record: str, refused: bool = False
) -> PointsTransfer | None:
    if not change.to:
        return None
    return PointsTransfer(
        adjustment_id=change.adjustment_id, customer_id=change.to, sender=change.customer_id,
        points=points, reason=change.reason, by=change.by, event_time_ms=change.event_time_ms,
        record=record, refused=refused,
    )  # fmt: skip


def receive(
    account: Account | None, transfer: PointsTransfer, rules: LoyaltyRules, arrived_ms: int
) -> tuple[Account | None, tuple[LedgerEntry, ...] | Refused]:
    """The account that a transfer is for, after it. It is remembered from its arrival on, and moves the
    account's horizon no further than the adjustment itself would. However busy the account is, it takes what
    another has given, and knows that it did."""
    name, by = _received_as(account, transfer), f"{transfer.sender} {transfer.record}"
    known = account.postings.get(name) if account is not None else None
    delta, ending = transfer.points, ""
    if account is not None and known is not None:
        _, _, record = known.of.partition(" ")
        if transfer.refused and (not record or known.of != by):
            return None, NO_ENTRIES  # perhaps a repeat of what was posted, which its sender forgot
        delta -= known.total_cents
        ending = f":{account.version + 1}"  # was decided again, otherwise
        if not delta and known.of != by:
            known.of = by
            return account, NO_ENTRIES
    elif delta and account is not None and _forgotten(account, arrived_ms, rules):
        return None, BEYOND
    elif delta and account is None:
        account = new_account(arrived_ms)
    if account is None or not delta:
        return None, NO_ENTRIES
    entry = _post(account, name, ending, "transfer_in", "posted", transfer.reason, delta,
                  transfer, transfer.sender, arrived_ms)  # fmt: skip
    account.postings[name].total_cents = transfer.points
    account.postings[name].of = by
    _keep_newest(account, rules)
    remembered(account, transfer.event_time_ms or arrived_ms, arrived_ms, rules)
    return account, (entry,)


def _received_as(account: Account | None, transfer: PointsTransfer) -> str:
    """An id is its sender's own: where another's has come under it, this one has the sender in its name."""
    name = f"#{transfer.adjustment_id}{RECEIVED}"
    own = f"#{transfer.adjustment_id}#from:{transfer.sender}{RECEIVED}"
    known = account.postings.get(name) if account is not None else None
    taken = known is not None and known.of.partition(" ")[0] not in ("", transfer.sender)
    return own if taken or (account is not None and own in account.postings) else name


def _given_to(known: Posting) -> str:
    """The member who was given these points, "" where that is not known."""
    return known.of.partition("//")[2] if known.of.startswith("goodwill/") else ""


def _received(account: Account) -> dict[str, int]:
    """When what others have given arrived."""
    some = account.postings.items()
    return {name: one.event_time_ms for name, one in some if name.endswith(RECEIVED)}


def _forgotten(account: Account, arrived_ms: int, rules: LoyaltyRules) -> bool:
    """Whether a transfer that came then may have been posted and forgotten."""
    if arrived_ms < account.newest_ms - rules.horizon_ms:
        return True
    times = _received(account).values()
    return len(times) >= rules.max_postings and arrived_ms <= min(times)


def _keep_newest(account: Account, rules: LoyaltyRules) -> None:
    times = _received(account)
    if len(times) > rules.max_postings:
        del account.postings[min(times, key=times.__getitem__)]


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
