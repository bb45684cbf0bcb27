"""Tax of a receipt by code and rate: what its lines say of themselves, and what only the receipt says shared
out among the lines that can bear it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from tillstream.domain.receipt.amounts import MOST
from tillstream.domain.receipt.contract import ReceiptLine, RetailTransaction, Tax
from tillstream.domain.receipt.sums import rounded_to

# A voucher is taxed when it is used, and what is sold for others is their revenue.
NEVER_TAXED = frozenset({"gift_card", "agency"})
Sharing = Callable[[int, Sequence[int]], list[int]]


class Rated(NamedTuple):
    """``rate``: percent as text, to a millionth (`percent`); "" where nobody says it."""

    code: str
    included: bool
    rate: str


class Taxes(NamedTuple):
    """``by_line``: of each line its taxes, also those of nothing at a rate of zero. ``own``: which of them
    the line said itself; ``own_taxable``: what it says that they are on. ``taxable``: what the receipt says
    that a tax is on."""

    by_line: list[dict[Rated, int]]
    own: list[set[Rated]]
    own_taxable: list[dict[Rated, int]]
    taxable: dict[Rated, int]

    def of(self, line: int, included: bool) -> int:
        """Sum of a line's taxes that are included, or else on top."""
        whole = 0
        for at, amount in self.by_line[line].items():
            if at.included is included:
                whole += amount
        return whole

    def sums(self) -> dict[Rated, int]:
        """Of the whole receipt."""
        found: dict[Rated, int] = {}
        for line in self.by_line:
            for at, amount in line.items():
                found[at] = found.get(at, 0) + amount
        return found


@lru_cache(maxsize=256)
def percent(rate: Decimal | None) -> str:
    """15.00 and 15 are one rate: ``15``."""
    if rate is None:
        return ""
    text = f"{rate:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def by_line(
    sent: RetailTransaction,
    lines: Sequence[ReceiptLine],
    amounts: Sequence[int],
    shared: Sharing,
) -> Taxes:
    """Taxes of the lines that count. What a receipt lists includes what lines say of the same code: only the
    rest is shared out, by ``amounts``, among (the first of these that there are)

    - the lines that say this tax at a rate above zero, if it is no more than their rounding: a unit
      (`rounded_to`) for each of them;
    - the lines that say no tax at all, other than gift cards and agency goods;
    - the lines that say this tax at a rate above zero;
    - the lines that say another tax at a rate above zero;
    - all lines.
    """
    whole: dict[Rated, int] = {}
    taxable: dict[Rated, int] = {}
    listed: dict[tuple[str, bool], list[Rated]] = {}
    untold: set[Rated] = set()
    for tax in sent.taxes:
        at = Rated(tax.code, tax.included, percent(tax.rate))
        if at not in whole:
            listed.setdefault((tax.code, tax.included), []).append(at)
        whole[at] = whole.get(at, 0) + tax.amount
        if tax.taxable is None:
            untold.add(at)
        else:
            taxable[at] = taxable.get(at, 0) + tax.taxable
    made: list[dict[Rated, int]] = [{} for _ in lines]
    of_listed: dict[Rated, dict[int, Rated]] = {at: {} for at in whole}
    on: list[dict[Rated, int]] = [{} for _ in lines]
    for n, line in enumerate(lines):
        unsaid: set[Rated] = set()
        for tax in line.taxes:
            said = Rated(tax.code, tax.included, percent(tax.rate))
            known = listed.get((tax.code, tax.included))
            if known:
                at = _listed_as(said, known, tax.amount, line.amount)
                whole[at] -= tax.amount
                said = said._replace(rate=said.rate or at.rate)
                of_listed[at][n] = said
            made[n][said] = made[n].get(said, 0) + tax.amount
            if tax.taxable is None:
                unsaid.add(said)
            else:
                on[n][said] = on[n].get(said, 0) + tax.taxable
        for said in unsaid:
            on[n].pop(said, None)
    own = [set(line) for line in made]
    for at, rest in whole.items():
        if rest and lines:
            said_by = of_listed[at]
            bears = _bearers(rest, said_by, lines, rounded_to(sent, lines))
            parts = shared(rest, [amounts[n] for n in bears])
            for n, part in zip(bears, parts, strict=True):
                if part:
                    borne = said_by.get(n, at)
                    made[n][borne] = made[n].get(borne, 0) + part
    told = {at: amount for at, amount in taxable.items() if at not in untold}
    return Taxes(made, own, on, told)


def net(at: Rated, amount: int, found: Taxes, bases: Sequence[int]) -> int | None:
    """What a tax of ``amount`` is on, without it: what the receipt says, else its lines, else as its rate has
    it; None where nobody knows. ``bases``: of each line its amount after discounts, without the tax in it."""
    rate = Decimal(at.rate or 0)
    if at in found.taxable:
        return _without_tax(at, found.taxable[at], amount)
    says = [n for n, own in enumerate(found.own) if at in own]
    # What was shared out to lines that do not say so themselves is on a part of them that nobody told.
    elsewhere = amount - sum(found.by_line[n][at] for n in says)
    told = [n for n in says if at in found.own_taxable[n]]
    known = sum(bases[n] for n in says if at not in found.own_taxable[n])
    if told:
        of_told = sum(found.by_line[n][at] for n in told)
        known += _without_tax(at, sum(found.own_taxable[n][at] for n in told), of_told)
    if says and not elsewhere:
        return known
    if not rate:
        return None
    whole = known + int((elsewhere * 100 / rate).to_integral_value())
    return whole if abs(whole) <= MOST else None


def _without_tax(at: Rated, said: int, amount: int) -> int:
    """What an ``amount`` of tax is ``said`` to be on, without it; it may be said with it."""
    rate = Decimal(at.rate or 0)
    gross = said * rate / (100 + rate)
    with_it = at.included and abs(gross - amount) < abs(said * rate / 100 - amount)
    return said - amount if with_it else said


def _listed_as(said: Rated, listed: list[Rated], amount: int, of: int) -> Rated:
    """The receipt's tax that has a line's ``amount`` in it: of the same rate, else of none, else the one that
    makes the nearest to it of the line's own amount."""
    if said in listed:
        return said
    unrated = next((at for at in listed if not at.rate), None)
    if unrated or len(listed) == 1:
        return unrated or listed[0]

    def miss(at: Rated) -> Fraction:
        rate = Fraction(at.rate)
        return abs(of * rate / (100 + rate if at.included else 100) - amount)

    return min(listed, key=miss)


def _bearers(
    rest: int, said_by: dict[int, Rated], lines: Sequence[ReceiptLine], unit: int
) -> list[int]:
    own = [n for n, at in said_by.items() if at.rate != "0"]
    if own and abs(rest) <= unit * len(own):
        return own
    silent = [n for n, line in enumerate(lines) if not line.taxes and line.kind not in NEVER_TAXED]
    others = [n for n, line in enumerate(lines) if any(map(_is_tax, line.taxes))]
    return silent or own or others or list(range(len(lines)))


def _is_tax(tax: Tax) -> bool:
    return bool(tax.amount if tax.rate is None else tax.rate)
