"""Loyalty points: a pure rule from (account, transaction) to (account, ledger entries).

Points are whole numbers, money is integer cents, times are ms since the epoch in UTC. The rule never
looks at a clock. What a sale did is remembered for a horizon, so that a duplicate has no effect and a
refund or void can take back exactly what its sale gave; docs/jobs/loyalty.md says what order decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

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
    """

    terms: Mapping[str, Terms] = msgspec.field(default_factory=lambda: {"ZAR": Terms()})
    horizon_ms: int = 183 * DAY_MS
    max_postings: int = 1024
    earn_nothing: frozenset[str] = frozenset()


class Posting(msgspec.Struct, array_like=True, gc=False):
    """What one transaction did, with the terms it was done on. A reversal keeps its time alone. Of total and
    refunded cents the excluded ones are for goods that earn nothing."""

    event_time_ms: int
    total_cents: int = 0
    redeemed: int = 0
    refunded_cents: int = 0
    cents_per_point: int = 0  # 0 marks a reversal
    point_value_cents: int = 0
    excluded_cents: int = 0
    excluded_refunded_cents: int = 0

    @property
    def is_sale(self) -> bool:
        return self.cents_per_point > 0

    @property
    def paid_cents(self) -> int:
        return self.total_cents - self.redeemed * self.point_value_cents


class Pending(msgspec.Struct, array_like=True, gc=False):
    """A refund or void whose sale has not been seen yet. ``cents`` is None for a void."""

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


class LedgerEntry(msgspec.Struct, gc=False):
    """One line of the append-only points ledger; the columns of the ledger on S3."""

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


class Refused(NamedTuple):
    """The transaction cannot be judged and belongs with the dead letters."""

    reason: str
    message: str


class Effect(NamedTuple):
    """(earned, redeemed, paid_cents) still standing after ``refunded_cents`` of a sale came back."""

    earned: int
    redeemed: int
    paid_cents: int


NO_ENTRIES: tuple[LedgerEntry, ...] = ()


def standing(sale: Posting, refunded_cents: int, excluded_refunded_cents: int = 0) -> Effect:
    """What is left of a sale's effect once so much (gross, cumulative) was given back, of it for goods that
    earn nothing ``excluded_refunded_cents``.

    Redeemed points return in proportion, rounded down; the rest is money. A function of the
    cumulative refund alone, so the order of refunds does not matter.
    """
    returned = sale.redeemed * refunded_cents // sale.total_cents if sale.total_cents else 0
    money_back = refunded_cents - returned * sale.point_value_cents
    paid = max(sale.paid_cents - money_back, 0)
    excluded = max(sale.excluded_cents - excluded_refunded_cents, 0)
    return Effect(max(paid - excluded, 0) // sale.cents_per_point, sale.redeemed - returned, paid)


def apply(
    account: Account | None, txn: Part, rules: LoyaltyRules, arrived_ms: int
) -> tuple[Account | None, tuple[LedgerEntry, ...] | list[LedgerEntry] | Refused]:
    """The account after ``txn``, and its ledger entries; an unchanged account is returned as None.

    ``arrived_ms``: when the broker took the record. A duplicate gives (None, ()). A transaction
    that cannot be told from a forgotten duplicate gives (None, Refused). A till's clock that is ahead
    moves no horizon: that goes by arrival.
    """
    event_ms = txn.event_time_ms
    if account is None:
        account = Account(oldest_ms=event_ms, postings={}, pending={})
    elif txn.transaction_id in account.postings:
        return None, NO_ENTRIES
    elif event_ms <= account.floor_ms or event_ms < account.newest_ms - rules.horizon_ms:
        return None, Refused(
            "beyond_horizon", "older than what is remembered of this customer: may be a duplicate"
        )
    if txn.kind == "sale":
        entries = [_post_sale(account, txn, rules)]
        posted = account.postings[txn.transaction_id]
        if account.pending:
            for late in account.pending.pop(txn.transaction_id, ()):
                entries.append(_reverse(account, late, txn, posted, True))
    else:
        entries = [_post_reversal(account, txn)]
    account.newest_ms = max(account.newest_ms, min(event_ms, arrived_ms))
    if event_ms < account.oldest_ms:
        account.oldest_ms = event_ms
    _forget(account, rules)
    return account, entries


def _post_sale(account: Account, txn: Part, rules: LoyaltyRules) -> LedgerEntry:
    wanted, outcome, reason = txn.points_to_redeem, "posted", None
    terms = rules.terms.get(txn.currency, NO_TERMS)
    if terms is NO_TERMS:
        outcome, reason = "redemption_refused" if wanted else "posted", "no_terms"
        wanted = 0
    elif wanted and wanted > account.balance:
        wanted, outcome, reason = 0, "redemption_refused", "insufficient_balance"
    elif wanted * terms.point_value > txn.total_cents:
        wanted, outcome, reason = 0, "redemption_refused", "exceeds_total"
    sale = Posting(
        txn.event_time_ms,
        txn.total_cents,
        wanted,
        0,
        terms.per_point,
        terms.point_value,
        txn.excluded_cents,
    )
    account.postings[txn.transaction_id] = sale
    earned, _, paid = standing(sale, 0)
    account.balance += earned - wanted
    account.version += 1
    return LedgerEntry(
        txn.transaction_id,
        txn.customer_id,
        account.version,
        txn.transaction_id,
        None,
        "sale",
        outcome,
        reason,
        txn.total_cents,
        paid,
        earned,
        wanted,
        earned - wanted,
        account.balance,
        txn.event_time_ms,
        txn.store,
        txn.region,
        txn.currency,
        txn.excluded_cents,
    )


def _post_reversal(account: Account, txn: Part) -> LedgerEntry:
    assert txn.refers_to is not None, "a refund or void names its sale"
    claim = Pending(
        txn.transaction_id,
        txn.event_time_ms,
        txn.kind,
        None if txn.kind == "void" else txn.total_cents,
        txn.total_cents,
        txn.store,
        txn.region,
        txn.excluded_cents,
    )
    account.postings[txn.transaction_id] = Posting(txn.event_time_ms)
    sale = account.postings.get(txn.refers_to)
    if sale is None and txn.refers_to:
        account.pending.setdefault(txn.refers_to, []).append(claim)
    return _reverse(account, claim, txn, sale, False)


def _reverse(
    account: Account,
    claim: Pending,
    txn: Part,
    sale: Posting | None,
    settling: bool,
) -> LedgerEntry:
    """``txn``: the reversal itself, or the sale that it has waited for."""
    outcome, reason = ("settled" if settling else "posted"), None
    earned = redeemed = paid = 0
    if not txn.refers_to and not settling:
        outcome, reason = "nothing_to_reverse", "no_receipt"
    elif sale is None:
        outcome = "pending_original"
    elif not sale.is_sale:
        outcome, reason = "nothing_to_reverse", "not_a_sale"
    elif sale.refunded_cents >= sale.total_cents:
        outcome, reason = "nothing_to_reverse", "already_reversed"
    else:
        before = standing(sale, sale.refunded_cents, sale.excluded_refunded_cents)
        asked = sale.total_cents if claim.cents is None else sale.refunded_cents + claim.cents
        sale.refunded_cents = min(sale.total_cents, asked)
        sale.excluded_refunded_cents = min(
            sale.excluded_cents, sale.excluded_refunded_cents + claim.excluded_cents
        )
        after = standing(sale, sale.refunded_cents, sale.excluded_refunded_cents)
        earned, redeemed = after.earned - before.earned, after.redeemed - before.redeemed
        paid = after.paid_cents - before.paid_cents
    account.balance += earned - redeemed
    account.version += 1
    # A receipt of another customer has entries of its own in that one's account.
    own = f"{claim.transaction_id}:owner" if txn.claimed else claim.transaction_id
    return LedgerEntry(
        f"{claim.transaction_id}:settled" if settling else own,
        txn.customer_id,
        account.version,
        claim.transaction_id,
        txn.transaction_id if settling else txn.refers_to or None,
        claim.kind,
        outcome,
        reason,
        claim.total_cents,
        paid,
        earned,
        redeemed,
        earned - redeemed,
        account.balance,
        claim.event_time_ms,
        claim.store,
        claim.region,
        txn.currency,
        claim.excluded_cents,
    )


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
