"""The loyalty programme by hand, for the check alone: written from its terms, not from the job.

In South Africa R10 paid earns a point and a point pays 10 cents; conf has the terms of each currency, and
one without terms earns nothing. This must never import the job's own rules: two people who made the same
mistake would agree.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

Terms = tuple[int, int]  # minor units that earn a point, and that one pays
ADJUSTMENTS = {"goodwill": "", "expiry": "", "transfer_out": "#out", "transfer_in": "#in"}
FRAUD = ("held", "released", "fraud")  # what was said of a sale
ALL = -1
ELSEWHERE = ":elsewhere"  # after a receipt's id: it counts in another account
NOTHING: Mapping[str, int] = MappingProxyType({})


class Sent(NamedTuple):
    """What the check needs of a transaction or an adjustment that was sent, or of what was said of a sale.
    Money in cents.

    Kinds of adjustments are goodwill, expiry, transfer_out and transfer_in; ``points`` are theirs, ALL
    for a transfer of all. Of a kind in FRAUD ``id`` is the sale's, and ``at_ms`` when it was said."""

    id: str
    kind: str
    total: int
    points: int
    refers_to: str | None
    currency: str = "ZAR"
    excluded: int = 0  # of the total, for goods that earn nothing
    granted: int | None = None  # by a till that says so
    claimed: bool = False  # brought with another's card or with none: its sale's owner pays
    at_ms: int = 0

    @property
    def rank(self) -> tuple[bool, int, bool]:
        """The higher one is the last word: a verdict after the hold, the later after the earlier."""
        return self.kind != "held", self.at_ms, self.kind == "fraud"

    @property
    def entry_id(self) -> str:
        if self.kind in FRAUD:
            return f"{self.id}:{self.kind}:{self.at_ms}"
        if self.kind in ADJUSTMENTS:
            return f"#{self.id}{ADJUSTMENTS[self.kind]}"
        return f"{self.id}:owner" if self.claimed else self.id


class Step(NamedTuple):
    """One entry that the ledger must have; its version is its place, from 1."""

    entry_id: str
    kind: str
    outcome: str
    earned: int
    redeemed: int
    delta: int
    balance: int


@dataclass
class _Sale:
    total: int
    paid: int
    redeemed: int
    terms: Terms | None
    excluded: int = 0
    back: int = 0  # value given back so far, in cents
    excluded_back: int = 0
    word: Sent | None = None  # the last that fraud said


def replay(
    transactions: Iterable[Sent],
    terms: Mapping[str, Terms] = MappingProxyType({"ZAR": (1000, 10)}),
    *,
    promised: Mapping[str, int] = NOTHING,
    blocked: Collection[str] = (),
    given: Mapping[str, int] = NOTHING,
) -> list[Step]:
    """One customer's ledger entries for ``transactions`` in the order in which they count.

    promised: points that a till was granted, by its sale. blocked: sales whose points others may have held.
    given: points that the other account gave, by the transfer's id."""
    steps: list[Step] = []
    balance = pending = 0
    held: set[str] = set()
    seen: set[str] = set()
    sales: dict[str, _Sale] = {}
    returns: dict[str, Sent] = {}  # that took something back, or wait to
    waiting: dict[
        str, list[Sent]
    ] = {}  # by the receipt; a void waits on, whether or not it was there

    def note(
        entry_id: str, kind: str, outcome: str, earned: int, redeemed: int, moved: int = 0
    ) -> None:
        nonlocal balance, pending
        # What a held sale has earned, whatever has become of it, is beside the balance.
        beside = sum(worth(sales[name])[0] for name in held)
        delta = earned - redeemed + moved - (beside - pending)
        pending = beside
        balance += delta
        steps.append(Step(entry_id, kind, outcome, earned, redeemed, delta, balance))

    def gone(sale: _Sale) -> bool:
        return sale.word is not None and sale.word.kind == "fraud"

    def worth(sale: _Sale) -> tuple[int, int]:
        """Points earned and redeemed that still stand."""
        if sale.terms is None or gone(sale):
            return 0, 0
        per_point, point_cents = sale.terms
        back = min(sale.back, sale.total)
        points_back = sale.redeemed * back // sale.total if sale.total else 0
        money_back = back - points_back * point_cents
        # rounding may hand back some cents more than were paid: that takes no further point
        counts = max(0, sale.paid - money_back) - max(0, sale.excluded - sale.excluded_back)
        return max(0, counts) // per_point, sale.redeemed - points_back

    def moved(sale: _Sale, cents: int, excluded: int) -> tuple[int, int]:
        """Points that come or go when so much more, or less, of a sale came back."""
        earned, redeemed = worth(sale)
        sale.back += cents
        sale.excluded_back += excluded
        earned_now, redeemed_now = worth(sale)
        return earned_now - earned, redeemed_now - redeemed

    def taken(sale: _Sale, back: Sent) -> tuple[int, int]:
        return min(back.total, sale.total), min(back.excluded, sale.excluded)

    def undo(name: str) -> tuple[bool, int, int]:
        """A part of a receipt as if it had not been: whether it was, points earned and redeemed."""
        if name in sales:
            sale = sales[name]
            return sale.back < sale.total and not gone(sale), *moved(sale, sale.total, 0)
        if name not in returns or not returns[name].total:
            return False, 0, 0
        undone = returns.pop(name)
        bought = sales.get(undone.refers_to or "")
        if bought is None:
            early = waiting.get(undone.refers_to or "", [])
            early[:] = [one for one in early if one.id != name]
            return True, 0, 0
        cents, excluded = taken(bought, undone)
        return True, *moved(bought, -cents, -excluded)

    def reverse(tx: Sent, entry_id: str, outcome: str, parts: Iterable[str] = ()) -> None:
        """``parts``: of the receipt that a void undoes."""
        of = tx.refers_to or ""
        if tx.kind == "void":
            done = [undo(part) for part in parts]
            if not any(was for was, _, _ in done):
                outcome = "nothing_to_reverse"
            note(entry_id, "void", outcome, sum(e for _, e, _ in done), sum(r for _, _, r in done))
        elif of in sales:
            sale = sales[of]
            if sale.back >= sale.total or gone(sale):
                outcome = "nothing_to_reverse"
            note(entry_id, tx.kind, outcome, *moved(sale, *taken(sale, tx)))
        else:
            note(entry_id, tx.kind, "nothing_to_reverse", 0, 0)

    def settle(part: str) -> None:
        receipt, mark, number = part.partition("#")
        waited = waiting.pop(receipt, [])
        kept = [one for one in waited if one.kind == "void" or part not in sales]
        if kept:
            waiting[receipt] = kept
        for early in waited:
            undone = early.kind == "void" and early.id != receipt + ELSEWHERE
            if undone or part in sales:
                reverse(early, f"{early.id}:settled{mark}{number}", "settled", [part])

    def adjust(tx: Sent) -> None:
        outcome = "posted"
        if tx.kind == "goodwill":
            moved = tx.points
        elif tx.kind == "expiry":
            moved = -min(tx.points, max(balance, 0))
            outcome = "posted" if moved else "nothing_to_expire"
        elif tx.kind == "transfer_in":
            moved = given.get(tx.id, 0)
        elif tx.points != ALL and tx.points > balance:
            moved, outcome = 0, "transfer_refused"
        elif tx.points == ALL and balance < 0:
            moved = -min(balance + pending, 0)  # pending points may still pay the debt
        else:
            moved = -(balance if tx.points == ALL else tx.points)
        note(tx.entry_id, tx.kind, outcome, 0, 0, moved)

    def follow(word: Sent) -> None:
        sale = sales[word.id]
        before, (earned, redeemed) = sale.word, worth(sale)
        if before is not None and word.rank <= before.rank:
            return
        sale.word = word
        (held.add if word.kind == "held" else held.discard)(word.id)
        if word.kind == (before.kind if before else "released"):
            return
        earned_now, redeemed_now = worth(sale)
        note(word.entry_id, word.kind, "posted", earned_now - earned, redeemed_now - redeemed)

    for tx in transactions:
        if tx.kind in FRAUD:
            if tx.id in sales:
                follow(tx)
            continue
        if tx.kind in ADJUSTMENTS:
            nothing = tx.kind == "transfer_in" and not given.get(tx.id)  # the other gave none
            if tx.entry_id not in seen and not nothing:
                seen.add(tx.entry_id)
                adjust(tx)
            continue
        if tx.id in seen:
            continue
        of = tx.refers_to or ""
        if tx.kind == "sale":
            used, outcome, here = 0, "posted", terms.get(tx.currency)
            if tx.points > 0:
                enough = tx.points <= max(
                    0 if tx.id in blocked else balance, promised.get(tx.id, 0)
                )
                if tx.granted is not None:
                    enough = tx.granted > 0
                asked = tx.points if tx.granted is None else tx.granted
                if here and enough and asked * here[1] <= tx.total:
                    used = asked
                else:
                    outcome = "redemption_refused"
            paid = tx.total - used * here[1] if here else tx.total
            sales[tx.id] = _Sale(tx.total, paid, used, here, tx.excluded)
            note(tx.id, "sale", outcome, worth(sales[tx.id])[0], used)
        else:
            if tx.kind == "refund" and of:
                returns[tx.id] = tx
            parts = [one for one in seen if one.partition("#")[0] == of]
            elsewhere = tx.id == of + ELSEWHERE
            if elsewhere:  # of a return there is nothing to take back
                parts = [one for one in parts if one in sales]
            if (
                (of in seen and not elsewhere)
                or (parts and tx.kind == "void")
                or (tx.kind == "refund" and not of)
            ):
                reverse(tx, tx.entry_id, "posted", parts)
            else:
                note(tx.entry_id, tx.kind, "pending_original", 0, 0)
            if tx.kind == "void" or (of and of not in seen):
                waiting.setdefault(of, []).append(tx)
        seen.add(tx.id)
        if tx.kind != "void":
            settle(tx.id)
    return steps


def in_ledger_order(sent: Sequence[Sent], entries: Sequence[str]) -> list[Sent]:
    """What the ledger has, as its ``entries`` (ids) have it; then what it lacks, which shows as missing."""
    by_id = {tx.entry_id: tx for tx in reversed(sent)}
    ordered = [by_id.pop(entry) for entry in entries if entry in by_id]
    return ordered + [tx for tx in sent if tx.entry_id in by_id]


def with_voids_apart(sent: Sequence[Sent], entries: Sequence[str]) -> list[Sent]:
    """The order of sending, but voids where the ledger's ``entries`` (ids) have them: they go through a stage
    of the front door that nothing else goes through, so they may come before or after what is beside them."""
    places = {entry: place for place, entry in enumerate(entries)}
    found = {tx.entry_id: tx for tx in sent if tx.kind == "void" and tx.entry_id in places}
    voids = sorted(found.values(), key=lambda tx: places[tx.entry_id])
    ordered: list[Sent] = []
    for tx in sent:
        if tx.entry_id in found:
            continue
        while voids and places[voids[0].entry_id] < places.get(tx.entry_id, -1):
            ordered.append(voids.pop(0))
        ordered.append(tx)
    return ordered + voids
