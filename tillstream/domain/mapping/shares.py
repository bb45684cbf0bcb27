"""Tax of lines that say only its code, such as the letter beside a price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import ROUND_HALF_UP, Decimal, DecimalException
from typing import Any

from tillstream.domain.receipt.front_door import shared

SHARE = None  # the amount of a tax that is to be its line's share


def share_taxes(draft: dict[str, Any]) -> None:
    """Gives taxes of lines whose ``amount`` is SHARE what the receipt says of their code, less what other
    lines say of it: by its rate, and the rest by the lines' amounts, none of it to products that were taken
    back. A code that the receipt does not list
    is left out, for nobody knows how much it is."""
    lines = [line for line in draft.get("lines", ()) if line.get("taxes")]
    counted = [(line, tax) for line in lines if not line.get("voided") for tax in line["taxes"]]
    for code in dict.fromkeys(tax.get("code") for _, tax in counted if _waits(tax)):
        listed = [tax for tax in draft.get("taxes", ()) if tax.get("code") == code]
        if not listed:
            continue
        of_code = [(line, tax) for line, tax in counted if tax.get("code") == code]
        waiting = [(line, tax) for line, tax in of_code if _waits(tax)]
        whole = sum(tax.get("amount", 0) for tax in listed)
        whole -= sum(tax.get("amount", 0) for _, tax in of_code if not _waits(tax))
        parts = _parts(whole, [_amount(draft, line) for line, _ in waiting], listed,
                       [line.get("code") for line, _ in waiting])  # fmt: skip
        for (_, tax), part in zip(waiting, parts, strict=True):
            tax["amount"] = part
            tax.setdefault("included", listed[0].get("included", True))
    for line in lines:
        line["taxes"] = [tax for tax in line["taxes"] if not _waits(tax)]


def _waits(tax: Mapping[str, Any]) -> bool:
    return tax.get("amount", 0) is SHARE


def _parts(
    whole: int,
    amounts: Sequence[int],
    listed: Sequence[Mapping[str, Any]],
    products: Sequence[str | None],
) -> list[int]:
    rates = {tax.get("rate") for tax in listed}
    rate = rates.pop() if len(rates) == 1 else None
    of_rate = [0] * len(amounts)
    if rate is not None:
        base = 100 + rate if listed[0].get("included", True) else Decimal(100)
        with suppress(DecimalException):  # of a rate that no country has
            of_rate = [int((a * rate / base).quantize(Decimal(1), ROUND_HALF_UP)) for a in amounts]
    left: Counter[str | None] = Counter()
    for amount, product in zip(amounts, products, strict=True):
        left[product] += amount
    kept = [a if left[product] else 0 for a, product in zip(amounts, products, strict=True)]
    rest = shared(whole - sum(of_rate), kept if any(kept) else amounts)
    return [one + more for one, more in zip(of_rate, rest, strict=True)]


def _amount(draft: Mapping[str, Any], line: Mapping[str, Any]) -> int:
    of_line = (d for d in draft.get("discounts", ()) if d.get("line") == line.get("number"))
    return int(line.get("amount", 0)) - sum(discount.get("amount", 0) for discount in of_line)
