"""Receipts of contract v2 by hand, for the check alone: what lines were paid, what they move and earn.

Written from docs/jobs/intake.md, loyalty.md and inventory.md and from the contract's schema, not from the
front door: two people who made the same mistake would agree.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from datetime import datetime
from fractions import Fraction
from typing import Any, NamedTuple

from tillstream.check.by_hand.cards import masked
from tillstream.check.by_hand.taken_back import quantity, taken_back
from tillstream.check.by_hand.taxes import Taxed, in_parts, summed, tax_entries
from tillstream.check.rules import Sent

Record = dict[str, Any]
GTINS = (8, 12, 13, 14)
EARNING = ("sale", "return", "coupon")


class Line(NamedTuple):
    """A line that was not struck out. ``n``: its place among those, from 1. ``paid``: its share of the total.
    ``units``: pieces, or thousandths of ``unit``; positive where they leave the shop. ``fate``: of what comes
    back, which ``of`` names the receipt of. ``corrects``: it takes back one before it. ``gone``: such a line
    and the one before it are alike, so that neither happened."""

    n: int
    kind: str
    product: str
    category: str
    paid: int
    units: int
    unit: str
    fate: str
    of: str
    corrects: bool = False
    gone: bool = False


class Receipt(NamedTuple):
    """Amounts and units with the signs of what counts: a void's are turned."""

    id: str
    void: bool
    store: int
    customer: str | None
    currency: str
    total: int
    at_ms: int
    day: str
    points: int
    granted: int | None
    voids: str | None
    lines: list[Line]
    taxes: list[Taxed]


def read(record: Record, scales: Iterable[str] = ()) -> Receipt | None:
    """None of a training till. ``scales``: forms of codes that hold a price or weight (`intake.scales`)."""
    if record.get("training"):
        return None
    way = -1 if record["kind"] == "void" else 1
    counted = [line for line in record["lines"] if not line.get("voided")]
    paid_by_line, taxes = _paid(record, counted)
    lines = []
    for n, (line, paid) in enumerate(zip(counted, paid_by_line, strict=True), start=1):
        scheme, said = line.get("scheme", "gtin"), line.get("code", "")
        product, grams = shelf(scheme, said, scales)
        units, unit = _units(line, grams)
        source = taken_back(counted, n - 1) if line.get("correction") else line
        back = line.get("back") or source.get("back") or {}
        fate = back.get("fate", "shelf") if back or line["kind"] == "return" else ""
        kind, category, of = line["kind"], line.get("category") or "", back.get("receipt") or ""
        corrects = line.get("correction", False)
        one = Line(n, kind, product, category, way * paid, way * units, unit, fate, of, corrects)
        lines.append(one)
    for n, m in _pairs(counted, lines):
        lines[n], lines[m] = lines[n]._replace(gone=True), lines[m]._replace(gone=True)
    loyalty = record.get("loyalty") or {}
    return Receipt(
        record["transaction_id"],
        way < 0,
        int(record["store"]),
        loyalty.get("customer"),
        record["currency"],
        way * record["total"],
        round(datetime.fromisoformat(record["ended_at"]).timestamp() * 1000),
        record.get("business_day") or record["ended_at"][:10],
        loyalty.get("asked", 0),
        loyalty.get("granted"),
        record.get("voids"),
        lines,
        [
            tax._replace(amount=way * tax.amount, net=None if tax.net is None else way * tax.net)
            for tax in taxes
        ],
    )


def postings(receipt: Receipt, earn_nothing: Collection[str]) -> list[Sent]:
    """What a receipt does to its customer's points: a sale, and a refund for each receipt of which something
    comes back, numbered from the second on."""
    if receipt.void:
        total = max(0, -receipt.total)
        return [Sent(receipt.id, "void", total, 0, receipt.voids, receipt.currency)]
    sold: list[Line] = []
    back: dict[str, list[Line]] = {}
    for line in receipt.lines:
        if line.paid < 0 and line.kind in ("bottle_return", "agency"):
            continue  # money handed out is no purchase
        if line.kind == "return" or line.of:
            back.setdefault(line.of, []).append(line)
        else:
            sold.append(line)

    def money(lines: list[Line], way: int) -> tuple[int, int]:
        total = max(0, way * sum(line.paid for line in lines))
        nothing = (o.paid for o in lines if o.kind not in EARNING or o.category in earn_nothing)
        return total, min(max(0, way * sum(nothing)), total)

    made = []
    if sold:
        total, nothing = money(sold, 1)
        made.append(
            Sent(
                receipt.id,
                "sale",
                total,
                receipt.points,
                None,
                receipt.currency,
                nothing,
                receipt.granted,
            )
        )
    for of, lines in back.items():
        total, nothing = money(lines, -1)
        name = f"{receipt.id}#{len(made) + 1}" if made else receipt.id
        made.append(Sent(name, "refund", total, 0, of, receipt.currency, nothing))
    return made


def _paid(record: Record, lines: list[Record]) -> tuple[list[int], list[Taxed]]:
    """Shares of the total: amounts, less discounts, with tax on top and what cash rounds. And the taxes."""
    at = {line["number"]: n for n, line in enumerate(lines)}
    amounts = [line["amount"] for line in lines]
    for off in record.get("discounts", ()):
        if "line" in off:
            amounts[at[off["line"]]] -= off["amount"]
    whole = sum(off["amount"] for off in record.get("discounts", ()) if "line" not in off)
    kept = _kept(lines, amounts)
    goods = [
        amount * (line["kind"] in ("sale", "return"))
        for line, amount in zip(lines, kept, strict=True)
    ]
    less = in_parts(whole, goods if any(goods) else kept)
    entries = tax_entries(record, lines, kept)
    on_top = [0] * len(lines)
    left = [amount - off for amount, off in zip(amounts, less, strict=True)]
    for entry in entries:
        if entry.tax[1]:
            on_top[entry.line] += entry.amount
        else:
            left[entry.line] -= entry.amount
    shares = (amounts, [-off for off in less], on_top, in_parts(record.get("rounding", 0), kept))
    return [sum(parts) for parts in zip(*shares, strict=True)], summed(record, entries, left)


def _pairs(said: list[Record], lines: list[Line]) -> list[tuple[int, int]]:
    """Places of corrections of goods and of what they take out whole, the latest that is alike; a till may
    print either first."""
    pairs: list[tuple[int, int]] = []
    for n, line in enumerate(lines):
        if line.kind not in ("sale", "return"):
            continue
        for m in range(n - 1, -1, -1):
            other = lines[m]
            alike = (
                (other.kind, other.product, other.unit) == (line.kind, line.product, line.unit)
                and other.fate == line.fate
                and other.corrects is not line.corrects
                and other.paid == -line.paid
                and said[m]["amount"] == -said[n]["amount"]
                and quantity(said[m]) == quantity(said[n])
            )
            if alike and not any(m in pair for pair in pairs):
                pairs.append((n, m))
                break
    return pairs


def _kept(lines: list[Record], amounts: list[int]) -> list[int]:
    """Amounts that count when something is shared out: what was taken out again bears nothing."""
    kept = list(amounts)
    rung_up: dict[tuple[str, str, str], list[int]] = {}
    for n, line in enumerate(lines):
        earlier = rung_up.setdefault(
            (line["kind"], line.get("scheme", "gtin"), line.get("code", "")), []
        )
        if not line.get("correction"):
            earlier.append(n)
            continue
        # The latest of the same amount and quantity, before it is the latest of all.
        twins = [
            m
            for m in earlier
            if kept[m] == -kept[n]
            and lines[m]["amount"] == -line["amount"]
            and lines[m].get("unit", "each") == line.get("unit", "each")
            and quantity(lines[m]) == quantity(line)
        ]
        for m in [*twins[-1:], *reversed(earlier)]:
            if kept[m] > 0 > kept[n]:
                part = min(kept[m], -kept[n])
            elif kept[m] < 0 < kept[n]:
                part = max(kept[m], -kept[n])
            else:
                part = 0
            kept[m], kept[n] = kept[m] - part, kept[n] + part
    return kept


def _units(line: Record, grams: int | None) -> tuple[int, str]:
    thousandths, unit = (
        round(Fraction(str(line.get("quantity", 1))) * 1000),
        line.get("unit", "each"),
    )
    if grams and unit == "each" and thousandths == 1000:
        thousandths, unit = grams, "kg"
    if unit == "each":
        thousandths //= 1000
    kind, taken_back = line["kind"], line.get("correction", False)
    if kind == "sale":
        leaves = not taken_back
    elif kind in ("return", "bottle_return", "coupon"):
        leaves = taken_back
    else:
        leaves = line["amount"] >= 0
    return (thousandths if leaves else -thousandths), unit


def shelf(scheme: str, code: str, scales: Iterable[str] = ()) -> tuple[str, int | None]:
    """A product as shelves know it, and the grams that its code holds, if any."""
    code = unicodedata.normalize("NFC", code).strip()
    if not code:
        return "", None
    if scheme == "name":
        return "name-" + "-".join(masked(code).casefold().split()), None
    if scheme == "plu" and re.fullmatch("[0-9]{1,5}", code):
        return f"plu-{int(code)}", None
    if scheme in ("gtin", "barcode") and re.fullmatch("[0-9]+", code):
        if len(code) in (4, 5):
            return f"plu-{int(code)}", None
        if is_gtin(code):
            return _of_gtin(code, scales if scheme == "barcode" else ())
    own = re.fullmatch("[0-9]{8,14}", code) and not is_gtin(code)
    return (code if own else f"sku-{code}"), None


def _of_gtin(code: str, scales: Iterable[str]) -> tuple[str, int | None]:
    number = int(code)
    ean = f"{number:013d}"
    for form in scales if len(ean) == 13 else ():
        if all(f == d for f, d in zip(form, ean, strict=True) if f.isdigit()):
            item = "".join("0" if f in "PWV" else d for f, d in zip(form, ean, strict=True))[:12]
            weight = "".join(d for f, d in zip(form, ean, strict=True) if f == "W")
            return _short(int(item + _check(item))), int(weight) if weight else None
    if not number:
        return "", None
    if number < 1_000_000:  # a till's way of saying a PLU
        return f"plu-{number // 10}", None
    return _short(number), None


def _short(number: int) -> str:
    """In the shortest of a GTIN's lengths."""
    return next(f"{number:0{length}d}" for length in GTINS if number < 10**length)


def is_gtin(digits: str) -> bool:
    return len(digits) in GTINS and _check(digits[:-1]) == digits[-1]


def _check(digits: str) -> str:
    """GS1's: from the right every other digit counts three times."""
    return str(-(3 * sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2]))) % 10)
