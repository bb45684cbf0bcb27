"""Version 2 knows what of a sale earns nothing; version 1 counted it like the rest."""

from __future__ import annotations

import msgspec
from msgspec.structs import astuple

from tillstream.state_schemas.keyed.loyalty_account import v1


class Posting(msgspec.Struct, array_like=True, gc=False):
    event_time_ms: int
    total_cents: int = 0
    redeemed: int = 0
    refunded_cents: int = 0
    cents_per_point: int = 0
    point_value_cents: int = 0
    excluded_cents: int = 0
    excluded_refunded_cents: int = 0


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


def upgrade(old: v1.Account) -> Account:
    return Account(
        old.version,
        old.balance,
        old.newest_ms,
        old.floor_ms,
        old.oldest_ms,
        {name: Posting(*astuple(one)) for name, one in old.postings.items()},
        {name: [Pending(*astuple(one)) for one in claims] for name, claims in old.pending.items()},
    )


def downgrade(new: Account) -> v1.Account:
    return v1.Account(
        new.version,
        new.balance,
        new.newest_ms,
        new.floor_ms,
        new.oldest_ms,
        {name: v1.Posting(*astuple(one)[:6]) for name, one in new.postings.items()},
        {
            name: [v1.Pending(*astuple(one)[:7]) for one in claims]
            for name, claims in new.pending.items()
        },
    )
