"""What becomes of a till's request about points: see `holds`."""

from __future__ import annotations

from tillstream.domain.loyalty.account import Account, new_account
from tillstream.domain.loyalty.holds import (
    Hold,
    PointsAnswer,
    PointsRequest,
    answer,
    drop_ended,
    held,
)
from tillstream.domain.loyalty.ledger import NO_TERMS, LoyaltyRules


def on_request(
    account: Account | None, request: PointsRequest, rules: LoyaltyRules, arrived_ms: int
) -> tuple[Account | None, PointsAnswer]:
    """The account after a till's request, None where it is unchanged, and what the till is answered.

    The newest request about a sale counts, by the till's clock: an older one, or the same again, has the
    same answer. Once its time is over any other counts: a till's clock may have been set back."""
    if account is None:
        account = new_account(0)
    known = account.holds.get(request.transaction_id)
    asked = request.event_time_ms, request.request_id
    over = (
        known is not None and known.until_ms < arrived_ms and known.request_id != request.request_id
    )
    if known is not None and not over and asked <= (known.asked_ms, known.request_id):
        return None, answer(request, known)
    drop_ended(account.holds, arrived_ms, rules.max_holds)
    free = account.balance - held(account.holds, arrived_ms, request.transaction_id)
    points = request.points or 0
    reason = ""
    if request.transaction_id in account.postings:
        reason = "already_sold"
    elif request.kind == "release":
        reason = "released"
    elif rules.terms.get(request.currency or "", NO_TERMS).point_value == 0:
        reason = "no_terms"
    elif points > free:
        reason = "insufficient_balance"
    full = len(account.holds) >= rules.max_holds and request.transaction_id not in account.holds
    if full and not reason:
        reason = "too_many_holds"
    if reason:
        points = 0
    hold = Hold(
        request.request_id, request.event_time_ms, points, arrived_ms + rules.hold_ms, reason,
        account.balance, free - points,
    )  # fmt: skip
    # Who has never bought has no account; what was sold or is one too many is answered, not remembered.
    if full or not account.version or reason == "already_sold":
        return None, answer(request, hold)
    account.holds[request.transaction_id] = hold
    return account, answer(request, hold)
