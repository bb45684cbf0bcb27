"""Version 4 knows what fraud says of sales. In version 3 none is held: pending points are in the balance, and
a sale that was fraud is one of which all came back."""

from __future__ import annotations

from msgspec.structs import astuple

from tillstream.domain.loyalty.account import Account, Pending, Posting
from tillstream.domain.loyalty.holds import Hold
from tillstream.domain.loyalty.ledger import pending_points
from tillstream.state_schemas.keyed.loyalty_account import v3


def upgrade(old: v3.Account) -> Account:
    return Account(
        old.version,
        old.balance,
        old.newest_ms,
        old.floor_ms,
        old.oldest_ms,
        {name: Posting(*astuple(one)) for name, one in old.postings.items()},
        {name: [Pending(*astuple(one)) for one in claims] for name, claims in old.pending.items()},
        {name: Hold(*astuple(one)) for name, one in old.holds.items()},
    )


def downgrade(new: Account) -> v3.Account:
    fraud = {name for name, word in new.words.items() if word.action == "decline"}
    return v3.Account(
        new.version,
        new.balance + pending_points(new),
        new.newest_ms,
        new.floor_ms,
        new.oldest_ms,
        {name: _posting(one, name in fraud) for name, one in new.postings.items()},
        {
            name: [v3.Pending(*astuple(one)) for one in claims]
            for name, claims in new.pending.items()
        },
        {name: v3.Hold(*astuple(one)) for name, one in new.holds.items()},
    )


def _posting(new: Posting, fraud: bool) -> v3.Posting:
    old = v3.Posting(*astuple(new))
    if fraud:
        old.refunded_cents = max(old.refunded_cents, old.total_cents)
        old.excluded_refunded_cents = max(old.excluded_refunded_cents, old.excluded_cents)
    return old
