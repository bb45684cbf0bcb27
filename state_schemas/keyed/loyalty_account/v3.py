"""Version 3 knows of a return what it took back, and of which receipt, so that it can be undone; and what is
held for sales to come. Version 2 knew a return's time alone: of such a one nothing comes back."""

from __future__ import annotations

from msgspec.structs import astuple

from tillstream.domain.loyalty.ledger import Account, Pending, Posting
from tillstream.state_schemas.keyed.loyalty_account import v2


def upgrade(old: v2.Account) -> Account:
    return Account(
        old.version,
        old.balance,
        old.newest_ms,
        old.floor_ms,
        old.oldest_ms,
        {name: Posting(*astuple(one)) for name, one in old.postings.items()},
        {name: [Pending(*astuple(one)) for one in claims] for name, claims in old.pending.items()},
    )


def downgrade(new: Account) -> v2.Account:
    """A sale comes back no more than whole, a void waits only for a receipt that has not come, nothing is
    held."""
    pending = {
        name: [v2.Pending(*astuple(one)) for one in claims]
        for name, claims in new.pending.items()
        if name not in new.postings
    }
    return v2.Account(
        new.version,
        new.balance,
        new.newest_ms,
        new.floor_ms,
        new.oldest_ms,
        {name: _posting(name, one) for name, one in new.postings.items()},
        pending,
    )


def _posting(name: str, new: Posting) -> v2.Posting:
    if name.startswith("#"):  # an adjustment: of a transfer, what came
        return v2.Posting(new.event_time_ms, new.total_cents)
    if not new.is_sale:
        return v2.Posting(new.event_time_ms)
    return v2.Posting(
        new.event_time_ms,
        new.total_cents,
        new.redeemed,
        min(new.refunded_cents, new.total_cents),
        new.cents_per_point,
        new.point_value_cents,
        new.excluded_cents,
        min(new.excluded_refunded_cents, new.excluded_cents),
    )
