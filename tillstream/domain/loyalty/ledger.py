"""Loyalty points: a pure rule from (account, transaction) to (account, ledger entries).

Points are whole numbers, money is integer cents, times are ms since the epoch in UTC. The rule never
looks at a clock. What a sale did is remembered for a horizon, so that a duplicate has no effect and a
refund or void can take back exactly what its sale gave; docs/jobs/loyalty.md says what order decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from tillstream.domain.loyalty.account import (
    AT_ONCE,
    Account,
    Pending,
    Posting,
    forget,
    is_crowded,
    new_account,
)
from tillstream.domain.loyalty.entry import LedgerEntry
from tillstream.domain.loyalty.held import KINDS, Word
from tillstream.domain.loyalty.holds import held, promised
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
    max_postings: at most so many per customer; the oldest is forgotten first. Where many are of one moment,
    four times as many.
    earn_nothing: categories of goods on which no point is earned.
    hold_ms: how long points are set aside for a sale to come. max_holds: for so many at most per customer.
    max_held: so many sales at most that fraud holds, or has said something of and that have not come. 0: what
    fraud says has no effect.
    """

    terms: Mapping[str, Terms] = msgspec.field(default_factory=lambda: {"ZAR": Terms()})
    horizon_ms: int = 183 * DAY_MS
    max_postings: int = 1024
    earn_nothing: frozenset[str] = frozenset()
    hold_ms: int = 600_000
    max_holds: int = 16
    max_held: int = 64


class Refused(NamedTuple):
    """The transaction cannot be judged and belongs with the dead letters."""

    reason: str
    message: str


BEYOND = Refused(
    "beyond_horizon", "older than what is remembered of this customer: may be a duplicate"
)


class Effect(NamedTuple):
    """What still stands of a sale. ``pending``: so many of the points earned are not in the balance, for
    fraud holds the sale."""

    earned: int
    redeemed: int
    paid_cents: int
    pending: int = 0

    @property
    def delta(self) -> int:
        return self.earned - self.pending - self.redeemed

    def since(self, before: Effect) -> Effect:
        return Effect(*(now - then for now, then in zip(self, before, strict=True)))


class Change(NamedTuple):
    """What a reversal did, or why there was nothing to reverse."""

    effect: Effect
    reason: str | None


NO_EFFECT = Effect(0, 0, 0)
MOST = 2**62  # of a sum, in minor units
# Of no store, so of no region: the folder of the history that other records without one have.
NO_REGION = "unknown"
NO_ENTRIES: tuple[LedgerEntry, ...] = ()
# After a receipt's id: takes back what it did here, for it counts in another account.
ELSEWHERE = ":elsewhere"


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


def worth(sale: Posting, word: Word | None) -> Effect:
    """What a sale counts for now. While it is held what it earned is pending; of fraud nothing counts, as if
    it were voided. A function of what came back and of the newest word, so their order does not matter."""
    if word is not None and word.action == "decline":
        return NO_EFFECT
    effect = standing(sale, sale.refunded_cents, sale.excluded_refunded_cents)
    if word is not None and word.action == "hold":
        return effect._replace(pending=effect.earned)
    return effect


def pending_points(account: Account) -> int:
    """Points of held sales, which are not in the balance."""
    if not account.words:
        return 0
    found = ((account.postings.get(name), word) for name, word in account.words.items())
    return sum(worth(sale, word).pending for sale, word in found if sale is not None)


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
    word = account.words.pop(txn.transaction_id, None) if account.words else None
    if txn.kind == "sale":
        entries = [_post_sale(account, txn, rules, arrived_ms)]
    elif txn.kind == "refund":
        entries = [_post_refund(account, txn)]
    else:
        entries = [_post_void(account, txn)]
    if account.pending and txn.kind != "void":
        entries += _settle(account, txn)
    if word is not None and txn.kind == "sale":
        entries += follow(account, txn.transaction_id, txn.customer_id, word, None)
    remembered(account, event_ms, arrived_ms, rules)
    return account, entries


def opened_account(
    account: Account | None, name: str, event_ms: int, rules: LoyaltyRules, together: bool = False
) -> tuple[Account | None, tuple[LedgerEntry, ...] | Refused]:
    """The account to post ``name`` in; None where it is posted already, or cannot be told from such a one."""
    if account is None:
        return new_account(event_ms), NO_ENTRIES
    if name in account.postings:
        return None, NO_ENTRIES
    if beyond(account, event_ms, rules) and not together:
        return None, BEYOND
    if is_crowded(account, event_ms, rules.max_postings) and not together:
        most = AT_ONCE * rules.max_postings
        message = f"{most} of this customer are of its moment or newer: no more are remembered"
        return None, Refused("too_many_at_once", message)
    return account, NO_ENTRIES


def beyond(account: Account, event_ms: int, rules: LoyaltyRules) -> bool:
    return event_ms <= account.floor_ms or event_ms < account.newest_ms - rules.horizon_ms


def follow(
    account: Account, name: str, customer: str, word: Word, known: Word | None
) -> list[LedgerEntry]:
    """Does what ``word`` says of a sale that is here; ``known``: the word before it."""
    sale = account.postings[name]
    account.words[name] = word
    effect = worth(sale, word).since(worth(sale, known))
    if word.action == (known.action if known is not None else "release"):
        return []  # said again; or a release whose hold is still to come, and has no effect then
    kind = KINDS[word.action]
    account.balance += effect.delta
    account.version += 1
    entry = LedgerEntry(
        f"{name}:{kind}:{word.at_ms}", customer, account.version, name, name, kind, "posted", None, 0,
        effect.paid_cents, effect.earned, effect.redeemed, effect.delta, account.balance, word.at_ms,
        word.store, word.region or NO_REGION, word.currency, pending=pending_points(account),
    )  # fmt: skip
    return [entry]


def remembered(account: Account, event_ms: int, arrived_ms: int, rules: LoyaltyRules) -> None:
    """After something of ``event_ms`` was posted: moves the horizon, and forgets what is beyond it."""
    account.newest_ms = max(account.newest_ms, min(event_ms, arrived_ms))
    if event_ms < account.oldest_ms:
        account.oldest_ms = event_ms
    forget(account, rules.horizon_ms, rules.max_postings)


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
    earned, _, paid, _ = standing(sale, 0)
    account.balance += earned - wanted
    account.version += 1
    return LedgerEntry(
        txn.transaction_id, txn.customer_id, account.version, txn.transaction_id, None, "sale",
        outcome, reason, txn.total_cents, paid, earned, wanted, earned - wanted, account.balance,
        txn.event_time_ms, txn.store, txn.region, txn.currency, txn.excluded_cents,
        pending=pending_points(account),
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
        change = _take_back(account, of, txn.total_cents, txn.excluded_cents)
    return _reversal(account, claim, txn, change)


def _post_void(account: Account, txn: Part) -> LedgerEntry:
    """Undoes every part of a receipt that the account has, and later those that are still to come."""
    receipt = txn.refers_to or ""
    found = [name for name in account.postings if receipt and name.partition("#")[0] == receipt]
    if txn.transaction_id == receipt + ELSEWHERE:
        found = [name for name in found if account.postings[name].is_sale]
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
        if claim.transaction_id == receipt + ELSEWHERE and not posted.is_sale:
            left.append(claim)
            continue
        if claim.cents is None:
            change = _undo(account, txn.transaction_id)
        elif posted.is_sale:
            change = _take_back(account, txn.transaction_id, claim.cents, claim.excluded_cents)
        else:
            left.append(claim)
            continue
        entries.append(_reversal(account, claim, txn, change, f":settled{mark}{number}"))
        if claim.cents is None:
            left.append(claim)
    if left:
        account.pending[receipt] = left
    return entries


def _take_back(account: Account, name: str, cents: int, excluded: int) -> Change:
    """Adds to what came back of a sale, whether or not anything is left of it."""
    sale, word = account.postings[name], account.words.get(name)
    reason = "already_reversed" if sale.refunded_cents >= sale.total_cents else None
    if word is not None and word.action == "decline":
        reason = "fraud"
    return Change(_come_back(account, name, cents, excluded, 1), reason)


def _undo(account: Account, name: str) -> Change:
    """Of a sale all comes back; what a return took comes back no more. A void cannot be undone."""
    posting = account.postings[name]
    if posting.is_sale:
        return _take_back(account, name, posting.total_cents, 0)
    if not posting.of:
        return Change(NO_EFFECT, "not_a_sale")
    if posting.refunded_cents >= posting.total_cents:
        return Change(NO_EFFECT, "already_reversed")
    posting.refunded_cents = posting.total_cents
    sale = account.postings.get(posting.of)
    if sale is None:
        _wait_no_more(account.pending, posting.of, name)
    elif sale.is_sale:
        cents, excluded = posting.total_cents, posting.excluded_cents
        return Change(_come_back(account, posting.of, cents, excluded, -1), None)
    return Change(NO_EFFECT, None)


def _come_back(account: Account, name: str, cents: int, excluded: int, way: int) -> Effect:
    """What changes when so much more, or with ``way`` -1 less, of a sale came back. One return counts for no
    more than the whole sale, so no sum is too long for its state."""
    sale, word = account.postings[name], account.words.get(name)
    before = worth(sale, word)
    cents, excluded = min(cents, sale.total_cents), min(excluded, sale.excluded_cents)
    sale.refunded_cents = min(max(sale.refunded_cents + way * cents, 0), MOST)
    sale.excluded_refunded_cents = min(max(sale.excluded_refunded_cents + way * excluded, 0), MOST)
    return worth(sale, word).since(before)


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
    delta = effect.delta
    account.balance += delta
    account.version += 1
    return LedgerEntry(
        claim.transaction_id + ending, txn.customer_id, account.version, claim.transaction_id,
        txn.transaction_id if settled else txn.refers_to or None, claim.kind, outcome, reason,
        claim.total_cents, effect.paid_cents, effect.earned, effect.redeemed, delta,
        account.balance, claim.event_time_ms, claim.store, claim.region, txn.currency,
        claim.excluded_cents, pending=pending_points(account),
    )  # fmt: skip
