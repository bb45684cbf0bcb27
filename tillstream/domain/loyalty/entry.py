"""One line of the points ledger."""

from __future__ import annotations

import msgspec


class LedgerEntry(msgspec.Struct, gc=False):
    """One line of the append-only points ledger; its columns on S3. ``made_by``: who decided an adjustment,
    which has no money; ``refers_to`` of a transfer is the other account. ``customer_id``: whose account,
    which may be a household's; then ``member`` is the customer, "" where none is known. ``pending``: points
    of sales that fraud holds, after this line and beside the balance."""

    entry_id: str
    customer_id: str
    version: int
    transaction_id: str
    refers_to: str | None
    kind: str
    outcome: str
    reason: str | None
    total_cents: int
    paid_cents: int
    earned: int
    redeemed: int
    delta: int
    balance: int
    event_time_ms: int
    store: int
    region: str
    currency: str
    excluded_cents: int = 0
    made_by: str = ""
    pending: int = 0
    member: str = ""
