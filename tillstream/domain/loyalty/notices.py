"""What a customer is told about points: a redemption, granted or refused."""

from __future__ import annotations

from tillstream.domain.loyalty.entry import LedgerEntry
from tillstream.domain.notice import Notice, notice


def redemption_notice(entry: LedgerEntry) -> Notice | None:
    """The notice that ``entry`` calls for: only sales that redeemed, or asked to, call for one."""
    if entry.kind != "sale":
        return None
    if entry.redeemed:
        template = "points_redeemed"
        params: dict[str, str | int] = {"points": entry.redeemed, "balance": entry.balance}
    elif entry.outcome == "redemption_refused":
        template = "redemption_refused"
        params = {"reason": entry.reason or "", "balance": entry.balance}
    else:
        return None
    recipient = f"customer:{entry.member or entry.customer_id}"
    return notice("sms", recipient, template, entry.transaction_id, entry.event_time_ms, params)
