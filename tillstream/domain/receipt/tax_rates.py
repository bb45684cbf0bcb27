"""Whether tax follows from its rate and from what it is on.

Tills differ in what they tax: before or after a discount, with another tax or without, for some buyers half
or nothing. So there is no least, only a most. A receipt whose money adds up is not lost for it: by default
what does not follow is told (`intake.tax_rates`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from math import ceil, floor
from typing import NamedTuple

from tillstream.domain.receipt.contract import ReceiptLine, RetailTransaction, Tax
from tillstream.domain.receipt.sums import rounded_to
from tillstream.domain.transaction import InvalidTransaction

TAX_RATE = "tax_rate"


class _On(NamedTuple):
    """What taxes may be on, in minor units; ``least`` is 0 or less, ``most`` 0 or more."""

    least: float
    most: float


def refuse(receipt: RetailTransaction) -> None:
    """Raises InvalidTransaction where there is a `fault`."""
    if told := fault(receipt):
        raise InvalidTransaction(TAX_RATE, told)


def fault(receipt: RetailTransaction) -> str | None:
    """The first tax of a checked receipt that is more than its rate makes of what it may be on, by field and
    figures. A void has none: it repeats a receipt as it was."""
    if receipt.kind == "void":
        return None
    lines = [line for line in receipt.lines if not line.voided]
    says = Counter((tax.code, tax.included) for line in lines for tax in line.taxes)
    if not says and not receipt.taxes:
        return None
    unit = rounded_to(receipt, lines)
    directed: dict[int | None, int] = {}
    for off in receipt.discounts:
        directed[off.line] = directed.get(off.line, 0) + off.amount
    parts: dict[int, list[int]] = {}
    for line in lines:
        if line.parent is not None:
            parts.setdefault(line.parent, []).append(line.amount)
    for n, line in enumerate(receipt.lines):
        if line.voided or not line.taxes:
            continue
        amount = line.amount - directed.get(line.number, 0)
        gross = line.amount + sum(off.amount for off in line.discounts)
        amounts = (0, line.amount, amount, amount - directed.get(None, 0), gross)
        of_parts = parts.get(line.number, ())
        on = _On(
            min(amounts) + sum(part for part in of_parts if part < 0),
            max(amounts) + sum(part for part in of_parts if part > 0),
        )
        rounded = _roundings(line)
        tolerances = [unit * max(rounded, says[tax.code, tax.included]) for tax in line.taxes]
        if told := _beyond(line.taxes, on, tolerances, f"$.lines[{n}].taxes"):
            return told
    off_all = sum(abs(off.amount) for off in receipt.discounts)
    off_all += sum(abs(off.amount) for line in lines for off in line.discounts)
    sold = sum(line.amount for line in lines if line.amount > 0)
    back = sum(line.amount for line in lines if line.amount < 0)
    tolerance = unit * max(1.0, sum(map(_roundings, lines)))
    return _beyond(
        receipt.taxes,
        _On(back - off_all, sold + off_all),
        [tolerance] * len(receipt.taxes),
        "$.taxes",
    )


def _roundings(line: ReceiptLine) -> float:
    """How far rounding may lead: half a unit for each piece where a till rounds by piece."""
    return max(1.0, float(line.quantity) / 2) if line.unit == "each" else 1.0


def _beyond(taxes: Sequence[Tax], on: _On, tolerances: Sequence[float], where: str) -> str | None:
    shares = [None if tax.rate is None else _most(tax.rate) / 100 for tax in taxes]
    on_top = 1.0
    for tax, share in zip(taxes, shares, strict=True):
        if share and not tax.included:
            on_top *= 1 + share
    for n, (tax, share) in enumerate(zip(taxes, shares, strict=True)):
        if share is None:
            continue
        tolerance = tolerances[n] + 1e-9 * max(-on.least, on.most)
        base, others = on, 1.0 if tax.included else on_top / (1 + share)
        if tax.taxable is not None:
            told = _outside(
                tax.taxable, on, on_top, tolerance, f"{where}[{n}].taxable", "what the lines are"
            )
            if told:
                return told
            base, others = _On(min(0, tax.taxable), max(0, tax.taxable)), 1.0
        said = f"{tax.rate} % of {base.most or base.least:.0f}"
        told = _outside(tax.amount, base, share * others, tolerance, f"{where}[{n}].amount", said)
        if told:
            return told
    return None


def _outside(
    found: int, on: _On, share: float, tolerance: float, where: str, by: str
) -> str | None:
    low, high = on.least * share - tolerance, on.most * share + tolerance
    if low <= found <= high:
        return None
    return f"{where} is {found}, by {by} it is from {ceil(low)} to {floor(high)} minor units"


def _most(rate: Decimal) -> float:
    """Percent, of which no more may be printed than said: 8.875 as 8.88, 8.25 as 8. Nothing is nothing."""
    digits = rate.as_tuple().exponent
    assert isinstance(digits, int)  # `sums` has seen that it is a number
    return float(rate) + 0.5 * 10.0 ** min(digits, 0) if rate else 0.0
