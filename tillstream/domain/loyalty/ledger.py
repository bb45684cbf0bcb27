"""Loyalty points: a pure rule from (account, transaction) to (account, ledger entries).

Points are whole numbers, money is integer cents, times are ms since the epoch in UTC. The rule never
looks at a clock. What a sale did is remembered for a horizon, so that a duplicate has no effect and a
refund or void can take back exactly what its sale gave; docs/jobs/loyalty.md says what order decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from tillstream.domain.loyalty.entry import LedgerEntry
from tillstream.domain.loyalty.holds import Hold, held, promised
from tillstream.domain.loyalty.parts import Part

DAY_MS = 86_400_000


class Terms(msgspec.Struct, frozen=True, gc=False):
    """per_point: minor units of a currency paid per point earned. point_value: worth of one redeemed."""

    per_point: int = 1000
    point_value: int = 10


# Of a currency the grocer has said nothing about: no amount earns a point, and none can be redeemed.
NO_TERMS = Terms(2**62, 0)


class LoyaltyRules(msgspec.Struct, frozen=True, gc=False):
    """Terms of the programme, by currency (ISO 4217), and what is remembered.

    horizon_ms: how long before a customer's newest transaction an id is remembered.
    max_postings: at most so many per customer; the oldest is forgotten first.
    earn_nothing: categories of goods on which no point is earned.
    hold_ms: how long points are set aside for a sale to come. max_holds: for so many at most per customer.
    """

    terms: Mapping[str, Terms] = msgspec.field(default_factory=lambda: {"ZAR": Terms()})
    horizon_ms: int = 183 * DAY_MS
    max_postings: int = 1024
    earn_nothing: frozenset[str] = frozenset()
    hold_ms: int = 600_000
    max_holds: int = 16


class Posting(msgspec.Struct, array_like=True, gc=False):
    """What one transaction did, with the terms it was done on. Of total and refunded cents the excluded ones
    are for goods that earn nothing. What came back of a sale is added up as it was asked
    for, and may be more than the sale: so any of it can be undone, in any order. A return keeps what it
    asked for, and of which receipt; a void its time alone."""

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


class Refused(NamedTuple):
    """The transaction cannot be judged and belongs with the dead letters."""

    reason: str
    message: str


class Effect(NamedTuple):
    """(earned, redeemed, paid_cents) still standing after ``refunded_cents`` of a sale came back."""

    earned: int
    redeemed: int
    paid_cents: int


class Change(NamedTuple):
    """What a reversal did, or why there was nothing to reverse."""

    effect: Effect
    reason: str | None


NO_EFFECT = Effect(0, 0, 0)
MOST = 2**62  # of a sum, in minor units
NO_ENTRIES: tuple[LedgerEntry, ...] = ()


def standing(sale: Posting, refunded_cents: int, excluded_refunded_cents: int = 0) -> Effect:
    """What is left of a sale's effect once so much (gross, cumulative) was given back, of it for goods that
    earn nothing ``excluded_refunded_cents``. More than the sale is all of it.

    Redeemed points return in proportion, rounded down; the rest is money. A function of the
    cumulative refund alone, so the order of refunds does not matter.
    """
    refunded = min(refunded_cents, sale.total_cents)
    returned = sale.redeemed * refunded // sale.total_cents if sale.total_cents else 0
    money_back = refunded - returned * sale.point_value_cents
    paid = max(sale.paid_cents - money_back, 0)
    excluded = max(sale.excluded_cents - excluded_refunded_cents, 0)
    return Effect(max(paid - excluded, 0) // sale.cents_per_point, sale.redeemed - returned, paid)


def apply(
    account: Account | None, txn: Part, rules: LoyaltyRules, arrived_ms: int, together: bool = False
) -> tuple[Account | None, tuple[LedgerEntry, ...] | list[LedgerEntry] | Refused]:
    """The account after ``txn``, and its ledger entries; an unchanged account is returned as None.

    ``arrived_ms``: when the broker took the record. A duplicate gives (None, ()). A transaction
    that cannot be told from a forgotten duplicate gives (None, Refused). A till's clock that is ahead
    moves no horizon: that goes by arrival. together: a part before it, of the same receipt, was posted just
    now, so this one is no duplicate.
    """
    event_ms = txn.event_time_ms
    account, refused = opened_account(account, txn.transaction_id, event_ms, rules, together)
    if account is None:
        return None, refused
    if txn.kind == "sale":
        entries = [_post_sale(account, txn, rules, arrived_ms)]
    elif txn.kind == "refund":
        entries = [_post_refund(account, txn)]
    else:
        entries = [_post_void(account, txn)]
    if account.pending and txn.kind != "void":
        entries += _settle(account, txn)
    remembered(account, event_ms, arrived_ms, rules)
    return account, entries


def opened_account(
    account: Account | None, name: str, event_ms: int, rules: LoyaltyRules, together: bool = False
) -> tuple[Account | None, tuple[LedgerEntry, ...] | Refused]:
    """The account to post ``name`` in; None where it is posted already, or cannot be told from such a one."""
    if account is None:
        return Account(oldest_ms=event_ms, postings={}, pending={}, holds={}), NO_ENTRIES
    if name in account.postings:
        return None, NO_ENTRIES
    late = event_ms <= account.floor_ms or event_ms < account.newest_ms - rules.horizon_ms
    if late and not together:
        return None, Refused(
            "beyond_horizon", "older than what is remembered of this customer: may be a duplicate"
        )
    return account, NO_ENTRIES


def remembered(account: Account, event_ms: int, arrived_ms: int, rules: LoyaltyRules) -> None:
    """After something of ``event_ms`` was posted: moves the horizon, and forgets what is beyond it."""
    account.newest_ms = max(account.newest_ms, min(event_ms, arrived_ms))
    if event_ms < account.oldest_ms:
        account.oldest_ms = event_ms
    _forget(account, rules)


def _post_sale(account: Account, txn: Part, rules: LoyaltyRules, arrived_ms: int) -> LedgerEntry:
    own, spendable = None, account.balance
    if account.holds:
        own = account.holds.pop(txn.transaction_id, None)
        # What its till was promised it gets, whatever has become of the balance.
        spendable = max(spendable - held(account.holds, arrived_ms), promised(own, arrived_ms))
    wanted, outcome, reason = txn.points_to_redeem, "posted", None
    if wanted and txn.granted == 0:
        wanted, outcome, reason = 0, "redemption_refused", "by_till"
    elif txn.granted:  # the customer has had it
        wanted, reason = txn.granted, "overdrawn" if txn.granted > spendable else None
        spendable = max(spendable, wanted)
    terms = rules.terms.get(txn.currency, NO_TERMS)
    if terms is NO_TERMS:
        outcome, reason = "redemption_refused" if wanted else "posted", "no_terms"
        wanted = 0
    elif wanted > spendable and wanted:
        wanted, outcome, reason = 0, "redemption_refused", "insufficient_balance"
    elif wanted * terms.point_value > txn.total_cents:
        wanted, outcome, reason = 0, "redemption_refused", "exceeds_total"
    sale = Posting(
        txn.event_time_ms, txn.total_cents, wanted, 0, terms.per_point, terms.point_value,
        txn.excluded_cents,
    )  # fmt: skip
    account.postings[txn.transaction_id] = sale
    earned, _, paid = standing(sale, 0)
    account.balance += earned - wanted
    account.version += 1
    return LedgerEntry(
        txn.transaction_id, txn.customer_id, account.version, txn.transaction_id, None, "sale",
        outcome, reason, txn.total_cents, paid, earned, wanted, earned - wanted, account.balance,
        txn.event_time_ms, txn.store, txn.region, txn.currency, txn.excluded_cents,
    )  # fmt: skip


def _post_refund(account: Account, txn: Part) -> LedgerEntry:
    of = txn.refers_to or ""
    account.postings[txn.transaction_id] = Posting(
        txn.event_time_ms, txn.total_cents, excluded_cents=txn.excluded_cents, of=of
    )
    claim, sale = _claim(txn), account.postings.get(of)
    if not of:
        change = Change(NO_EFFECT, "no_receipt")
    elif sale is None:
        account.pending.setdefault(of, []).append(claim)
        change = None
    elif not sale.is_sale:
        change = Change(NO_EFFECT, "not_a_sale")
    else:
        change = _take_back(sale, txn.total_cents, txn.excluded_cents)
    return _reversal(account, claim, txn, change)


def _post_void(account: Account, txn: Part) -> LedgerEntry:
    """Undoes every part of a receipt that the account has, and later those that are still to come."""
    receipt = txn.refers_to or ""
    found = [name for name in account.postings if receipt and name.partition("#")[0] == receipt]
    account.postings[txn.transaction_id] = Posting(txn.event_time_ms)
    claim = _claim(txn)
    account.pending.setdefault(receipt, []).append(claim)
    if not found:
        return _reversal(account, claim, txn, None)
    changes = [_undo(account, name) for name in found]
    done = [change for change in changes if change.reason is None]
    effect = Effect(*map(sum, zip(*(change.effect for change in changes), strict=True)))
    return _reversal(account, claim, txn, Change(effect, None if done else changes[0].reason))


def _settle(account: Account, txn: Part) -> list[LedgerEntry]:
    """What has waited for ``txn``: refunds of a sale, and voids of the receipt that it is a part of."""
    receipt, mark, number = txn.transaction_id.partition("#")
    waiting = account.pending.pop(receipt, None)
    if waiting is None:
        return []
    posted, entries, left = account.postings[txn.transaction_id], [], []
    for claim in waiting:
        if claim.cents is None:
            change = _undo(account, txn.transaction_id)
        elif posted.is_sale:
            change = _take_back(posted, claim.cents, claim.excluded_cents)
        else:
            left.append(claim)
            continue
        entries.append(_reversal(account, claim, txn, change, f":settled{mark}{number}"))
        if claim.cents is None:
            left.append(claim)
    if left:
        account.pending[receipt] = left
    return entries


def _take_back(sale: Posting, cents: int, excluded: int) -> Change:
    """Adds to what came back of a sale, whether or not anything is left of it."""
    reason = "already_reversed" if sale.refunded_cents >= sale.total_cents else None
    return Change(_come_back(sale, cents, excluded, 1), reason)


def _undo(account: Account, name: str) -> Change:
    """Of a sale all comes back; what a return took comes back no more. A void cannot be undone."""
    posting = account.postings[name]
    if posting.is_sale:
        return _take_back(posting, posting.total_cents, 0)
    if not posting.of:
        return Change(NO_EFFECT, "not_a_sale")
    if posting.refunded_cents >= posting.total_cents:
        return Change(NO_EFFECT, "already_reversed")
    posting.refunded_cents = posting.total_cents
    sale = account.postings.get(posting.of)
    if sale is None:
        _wait_no_more(account.pending, posting.of, name)
    elif sale.is_sale:
        return Change(_come_back(sale, posting.total_cents, posting.excluded_cents, -1), None)
    return Change(NO_EFFECT, None)


def _come_back(sale: Posting, cents: int, excluded: int, way: int) -> Effect:
    """What changes when so much more, or with ``way`` -1 less, of a sale came back. One return counts for no
    more than the whole sale, so no sum is too long for its state."""
    before = standing(sale, sale.refunded_cents, sale.excluded_refunded_cents)
    cents, excluded = min(cents, sale.total_cents), min(excluded, sale.excluded_cents)
    sale.refunded_cents = min(max(sale.refunded_cents + way * cents, 0), MOST)
    sale.excluded_refunded_cents = min(max(sale.excluded_refunded_cents + way * excluded, 0), MOST)
    after = standing(sale, sale.refunded_cents, sale.excluded_refunded_cents)
    return Effect(*(now - then for now, then in zip(after, before, strict=True)))


def _wait_no_more(pending: dict[str, list[Pending]], receipt: str, name: str) -> None:
    left = [claim for claim in pending.pop(receipt, ()) if claim.transaction_id != name]
    if left:
        pending[receipt] = left


def _claim(txn: Part) -> Pending:
    assert txn.refers_to is not None, "a refund or void names its sale"
    return Pending(
        txn.transaction_id, txn.event_time_ms, txn.kind,
        None if txn.kind == "void" else txn.total_cents, txn.total_cents, txn.store, txn.region,
        txn.excluded_cents,
    )  # fmt: skip


def _reversal(
    account: Account, claim: Pending, txn: Part, change: Change | None, settled: str = ""
) -> LedgerEntry:
    """``change``: None where there is nothing yet to take it back of. ``txn``: the reversal itself, or
    what it has waited for, then ``settled`` ends the entry's id."""
    effect, outcome, reason = NO_EFFECT, "pending_original", None
    if change is not None:
        effect, reason = change
        outcome = "nothing_to_reverse" if reason else "settled" if settled else "posted"
    # A receipt of another customer has entries of its own in that one's account.
    ending = settled or (":owner" if txn.claimed else "")
    delta = effect.earned - effect.redeemed
    account.balance += delta
    account.version += 1
    return LedgerEntry(
        claim.transaction_id + ending, txn.customer_id, account.version, claim.transaction_id,
        txn.transaction_id if settled else txn.refers_to or None, claim.kind, outcome, reason,
        claim.total_cents, effect.paid_cents, effect.earned, effect.redeemed, delta,
        account.balance, claim.event_time_ms, claim.store, claim.region, txn.currency,
        claim.excluded_cents,
    )  # fmt: skip


def _forget(account: Account, rules: LoyaltyRules) -> None:
    """Drop what lies beyond the horizon or the cap; the floor keeps a forgotten id from returning."""
    horizon = account.newest_ms - rules.horizon_ms
    if account.oldest_ms < horizon:
        account.floor_ms = max(account.floor_ms, horizon - 1)
        _drop_to_floor(account)
    if len(account.postings) > rules.max_postings:
        # An eighth at a time, so that a busy card does not pay for this at each transaction.
        times = sorted(p.event_time_ms for p in account.postings.values())
        account.floor_ms = max(account.floor_ms, times[max(len(times) // 8 - 1, 0)])
        _drop_to_floor(account)


def _drop_to_floor(account: Account) -> None:
    floor = account.floor_ms
    account.postings = {k: p for k, p in account.postings.items() if p.event_time_ms > floor}
    account.pending = _younger(account.pending, floor)
    account.oldest_ms = min(
        (p.event_time_ms for p in account.postings.values()), default=account.newest_ms
    )


def _younger(pending: Mapping[str, list[Pending]], floor: int) -> dict[str, list[Pending]]:
    kept = {k: [c for c in claims if c.event_time_ms > floor] for k, claims in pending.items()}
    return {k: claims for k, claims in kept.items() if claims}
