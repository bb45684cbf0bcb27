"""What is kept of a customer: points, and what their transactions did, for a horizon."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

import msgspec

from tillstream.domain.loyalty.held import Word
from tillstream.domain.loyalty.holds import Hold

# Times max_postings: so many are remembered where many are of one moment.
AT_ONCE = 4
# Ends the name of what came by a transfer.
RECEIVED = "#in"
# What the id of a household's account begins with, and that of what moves points into it or out of it.
ACCOUNT = "household:"


class Posting(msgspec.Struct, array_like=True, gc=False):
    """What one transaction did, with the terms it was done on. Of total and refunded cents the excluded ones
    are for goods that earn nothing. What came back of a sale is added up as it was asked
    for, and may be more than the sale: so any of it can be undone, in any order. A return keeps what it
    asked for, and of which receipt; a void its time alone. What came by a transfer keeps its sender there, a
    blank, and the record that decided it."""

    event_time_ms: int
    total_cents: int = 0
    redeemed: int = 0
    refunded_cents: int = 0  # of a return: all of it, once it was undone
    cents_per_point: int = 0  # 0 marks a reversal
    point_value_cents: int = 0
    excluded_cents: int = 0
    excluded_refunded_cents: int = 0
    of: str = ""

    @property
    def is_sale(self) -> bool:
        return self.cents_per_point > 0

    @property
    def paid_cents(self) -> int:
        return self.total_cents - self.redeemed * self.point_value_cents


class Pending(msgspec.Struct, array_like=True, gc=False):
    """A refund whose sale has not been seen yet; or a void, seen or not, for a receipt may come in parts.
    ``cents`` is None for a void."""

    transaction_id: str
    event_time_ms: int
    kind: str
    cents: int | None
    total_cents: int
    store: int
    region: str
    excluded_cents: int = 0


class Account(msgspec.Struct, array_like=True, gc=False):
    """A customer's points. ``version`` counts ledger entries; a newer version is a newer truth."""

    version: int = 0
    balance: int = 0
    newest_ms: int = 0
    floor_ms: int = -1  # every id at or before this time may have been forgotten
    oldest_ms: int = 0  # no posting is older than this
    postings: dict[str, Posting] = {}
    pending: dict[str, list[Pending]] = {}
    holds: dict[str, Hold] = {}  # by the sale to come
    words: dict[str, Word] = {}  # of fraud, by the sale, which may be still to come


def new_account(event_ms: int) -> Account:
    return Account(oldest_ms=event_ms, postings={}, pending={}, holds={}, words={})


def forget(account: Account, horizon_ms: int, max_postings: int) -> None:
    """Drop what lies beyond the horizon or the cap; the floor keeps a forgotten id from returning."""
    horizon = account.newest_ms - horizon_ms
    if account.oldest_ms < horizon:
        account.floor_ms = max(account.floor_ms, horizon - 1)
        _drop_to_floor(account, horizon)
    if len(account.postings) > max_postings:
        times = _capped(account)
        if len(times) <= max_postings:
            return
        # An eighth at a time, so that a busy card does not pay for this at each transaction. A moment is
        # forgotten whole or not at all, for the floor is a time: the rest of it may be still to come.
        spare = len(times) - max_postings + max_postings // 8
        whole = bisect_left(times, times[spare])
        if not whole and len(times) <= AT_ONCE * max_postings:
            return
        account.floor_ms = times[max(whole - 1, 0)]
        _drop_to_floor(account, horizon)


def is_crowded(account: Account, event_ms: int, max_postings: int) -> bool:
    """Whether all there is room for is of that moment or newer: to post one more would forget it at once."""
    most = AT_ONCE * max_postings
    if len(account.postings) < most:
        return False
    times = _capped(account)
    return len(times) >= most and event_ms <= times[0]


def _capped(account: Account) -> list[int]:
    """Times of what the cap is for: not of what waits for fraud's verdict below the floor, or was given."""
    floor = account.floor_ms
    some = account.postings.items()
    return sorted(
        p.event_time_ms for k, p in some if p.event_time_ms > floor and not k.endswith(RECEIVED)
    )


def _drop_to_floor(account: Account, horizon: int) -> None:
    floor, words = account.floor_ms, account.words
    # What is held stays until its verdict, however long that takes.
    held = {name for name, word in words.items() if word.action == "hold"} if words else ()
    kept = {
        k: p
        for k, p in account.postings.items()
        if p.event_time_ms > floor
        or k in held
        # Sales do not make an account forget what it was given: the giver may still take it back.
        or (p.event_time_ms >= horizon and k.endswith(RECEIVED))
    }
    account.postings = kept
    account.pending = _younger(account.pending, floor)
    if words:
        account.words = {k: w for k, w in words.items() if k in kept or w.event_ms > floor}
    account.oldest_ms = min(
        (p.event_time_ms for p in kept.values() if p.event_time_ms > floor),
        default=account.newest_ms,
    )


def _younger(pending: Mapping[str, list[Pending]], floor: int) -> dict[str, list[Pending]]:
    kept = {k: [c for c in claims if c.event_time_ms > floor] for k, claims in pending.items()}
    return {k: claims for k, claims in kept.items() if claims}
