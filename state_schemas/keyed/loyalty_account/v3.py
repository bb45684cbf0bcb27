"""Version 3 knows of a return what it took back, and of which receipt, so that it can be undone; and what is
held for sales to come. Version 2 knew a return's time alone: of such a one nothing comes back."""

from __future__ import annotations

import msgspec
from msgspec.structs import astuple

from tillstream.state_schemas.keyed.loyalty_account import v2


class Hold(msgspec.Struct, array_like=True, gc=False):
    request_id: str
    asked_ms: int
    points: int
    until_ms: int
    reason: str = ""
    balance: int = 0
    available: int = 0


class Posting(msgspec.Struct, array_like=True, gc=False):
    event_time_ms: int
    total_cents: int = 0
    redeemed: int = 0
    refunded_cents: int = 0
    cents_per_point: int = 0
    point_value_cents: int = 0
    excluded_cents: int = 0
    excluded_refunded_cents: int = 0
    of: str = ""

    @property
    def is_sale(self) -> bool:
        return self.cents_per_point > 0


class Pending(msgspec.Struct, array_like=True, gc=False):
    transaction_id: str
    event_time_ms: int
    kind: str
    cents: int | None
    total_cents: int
    store: int
    region: str
    excluded_cents: int = 0


class Account(msgspec.Struct, array_like=True, gc=False):
    version: int = 0
    balance: int = 0
    newest_ms: int = 0
    floor_ms: int = -1
    oldest_ms: int = 0
    postings: dict[str, Posting] = {}
    pending: dict[str, list[Pending]] = {}
    holds: dict[str, Hold] = {}


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
