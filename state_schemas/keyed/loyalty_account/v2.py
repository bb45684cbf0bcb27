"""Version 2 knows what of a sale earns nothing; version 1 counted it like the rest."""

from __future__ import annotations

from msgspec.structs import astuple

from tillstream.domain.loyalty.ledger import Account, Pending, Posting
from tillstream.state_schemas.keyed.loyalty_account import v1


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
