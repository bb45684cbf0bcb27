"""Tax of contract v2 by hand, for the check alone: what each line bears, and what each tax is on.

Written from docs/jobs/intake.md, not from the front door.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

from tillstream.check.by_hand.cards import masked

Record = dict[str, Any]
# Decimals of currencies that have not two, ISO 4217.
_OTHERS = """
0 BIF BYR CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF
3 BHD IQD JOD KWD LYD OMR TND
4 CLF UYW
"""
DECIMALS = {
    currency: int(decimals)
    for decimals, *currencies in map(str.split, _OTHERS.strip().splitlines())
    for currency in currencies
}


class Taxed(NamedTuple):
    """Tax of one code, in minor units of the receipt's currency. ``rate``: percent, "" where none is said.
    ``net``: what it is on, None where that is not known."""

    code: str
    rate: str
    added: bool
    amount: int
    net: int | None


def in_parts(whole: int, amounts: list[int]) -> list[int]:
    """``whole`` among the amounts that go the way of their sum, by the largest remainder; the first of equal
    ones has it. With none of them all is the first one's."""
    if not whole:
        return [0] * len(amounts)
    up = sum(amounts) >= 0
    weights = [max(0, amount if up else -amount) for amount in amounts]
    if not sum(weights):
        return [whole if n == 0 else 0 for n in range(len(amounts))]
    exact = [Fraction(whole * weight, sum(weights)) for weight in weights]
    parts = [floor(one) for one in exact]
    order = sorted(range(len(parts)), key=lambda n: exact[n] - parts[n], reverse=True)
    for n in order[: whole - sum(parts)]:
        parts[n] += 1
    return parts


Tax = tuple[str, bool, str]  # code, whether it is on top, percent


class TaxEntry(NamedTuple):
    """Some tax of one line. ``told``: the line says so, else it is its part of what the receipt says;
    ``on``: on how much, if the line says that too."""

    line: int
    tax: Tax
    amount: int
    told: bool
    on: int | None = None


def _tax(said: Record) -> Tax:
    return said["code"], not said.get("included", True), _percent(said.get("rate"))


def tax_entries(record: Record, lines: list[Record], amounts: list[int]) -> list[TaxEntry]:
    """What lines say is theirs. Of a tax that the receipt says too, what is missing goes to lines that can
    bear it (docs/jobs/intake.md, "Tax")."""
    pots: dict[Tax, int] = {}
    for said in record.get("taxes", ()):
        pots[_tax(said)] = pots.get(_tax(said), 0) + said["amount"]
    entries: list[TaxEntry] = []
    payers: dict[Tax, dict[int, Tax]] = {pot: {} for pot in pots}
    for n, line in enumerate(lines):
        for said in line.get("taxes", ()):
            code, on_top, rate = _tax(said)
            same_code = [pot for pot in pots if pot[:2] == (code, on_top)]
            if same_code:
                pot = _pot(same_code, rate, said["amount"], line["amount"])
                pots[pot] -= said["amount"]
                rate = rate or pot[2]
                payers[pot][n] = code, on_top, rate
            entry = TaxEntry(n, (code, on_top, rate), said["amount"], True, said.get("taxable"))
            entries.append(entry)
    step = _step(record, lines)
    for pot, missing in pots.items():
        rated = [n for n, tax in payers[pot].items() if tax[2] != "0"]
        silent = [
            n
            for n, line in enumerate(lines)
            if not line.get("taxes") and line["kind"] not in ("gift_card", "agency")
        ]
        if rated and abs(missing) <= len(rated) * step:
            silent = []
        elsewhere = [
            n
            for n, line in enumerate(lines)
            if any(said.get("rate", said["amount"]) for said in line.get("taxes", ()))
        ]
        group = silent or rated or elsewhere or list(range(len(lines)))
        for n, part in zip(group, in_parts(missing, [amounts[n] for n in group]), strict=True):
            if part:
                entries.append(TaxEntry(n, payers[pot].get(n, pot), part, False))
    return entries


def _pot(pots: list[Tax], rate: str, amount: int, line: int) -> Tax:
    """The one of its rate, else without a rate, else whose rate makes nearest to ``amount`` of the line."""
    for wanted in (rate, ""):
        for pot in pots:
            if pot[2] == wanted:
                return pot
    misses = []
    for _, on_top, percent in pots:
        share = Fraction(percent)
        made = line * share / 100 if on_top else line * share / (100 + share)
        misses.append(abs(made - amount))
    return pots[misses.index(min(misses))]


def _step(record: Record, lines: list[Record]) -> int:
    """To what tax is rounded here: one minor unit, or a hundred where nothing on the receipt has cents."""
    of_taxes = [said for one in (record, *lines) for said in one.get("taxes", ())]
    money = [record["total"]] + [one["amount"] for one in (*lines, *of_taxes)]
    step: int = 10 ** DECIMALS.get(record["currency"], 2)
    return step if all(amount % step == 0 for amount in money) else 1


def summed(record: Record, entries: list[TaxEntry], left: list[int]) -> list[Taxed]:
    """``left``: of each line without discounts and the tax in it."""
    found = []
    for tax in dict.fromkeys(entry.tax for entry in entries):
        of_tax = [entry for entry in entries if entry.tax == tax]
        amount = sum(entry.amount for entry in of_tax)
        code, on_top, rate = tax
        found.append(Taxed(masked(code), rate, on_top, amount, _net(record, tax, of_tax, left)))
    return found


def _net(record: Record, tax: Tax, entries: list[TaxEntry], left: list[int]) -> int | None:
    amount, rate = sum(entry.amount for entry in entries), Fraction(tax[2] or 0)
    said = [one.get("taxable") for one in record.get("taxes", ()) if _tax(one) == tax]
    if said and None not in said:
        return _less_tax(sum(one for one in said if one is not None), amount, tax)
    telling = {entry.line for entry in entries if entry.told}
    shared = sum(entry.amount for entry in entries if entry.line not in telling)
    if not rate and (shared or not telling):
        return None
    # Lines of which each entry of this tax says what it is on.
    silent = {entry.line for entry in entries if entry.told and entry.on is None}
    on = sum(entry.on for entry in entries if entry.on is not None and entry.line not in silent)
    of_those = sum(entry.amount for entry in entries if entry.line in telling - silent)
    whole = sum(left[n] for n in silent) + _less_tax(on, of_those, tax)
    return whole + (round(shared * 100 / rate) if shared else 0)


def _less_tax(on: int, amount: int, tax: Tax) -> int:
    """``on`` without the tax, if it is nearer to a price with it than to one without."""
    rate = Fraction(tax[2] or 0)
    as_net, as_gross = on * rate / 100, on * rate / (100 + rate)
    return on - amount if not tax[1] and abs(as_gross - amount) < abs(as_net - amount) else on


def _percent(rate: float | str | None) -> str:
    return "" if rate is None else f"{Decimal(str(rate)):.6f}".rstrip("0").rstrip(".")
