"""What must hold in a receipt beyond the form of its fields. Each rule has a name, which is the reason of the
dead letter of a receipt that breaks it.

A voided line counts for nothing, a declined tender neither. The lines' own amounts are final: a unit price
times a quantity is not recomputed, for three for R20 and a price per pound make that wrong.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

from tillstream.domain.receipt.amounts import MOST, NotExact, exponent, thousandths
from tillstream.domain.receipt.contract import ReceiptLine, RetailTransaction, Tax
from tillstream.domain.transaction import InvalidTransaction

RULES = {
    "unknown_currency": "a currency that ISO 4217 does not have",
    "quantity": "a quantity that is not positive, or finer than a thousandth",
    "line_sign": "a line that is paid back with a positive amount, or one that is paid with a negative one",
    "line_twice": "two lines of one number",
    "no_such_line": "a discount or part of a line that is not there",
    "tender_sign": "change that is positive",
    "foreign_amount": "an amount in a foreign currency without the currency, or the reverse",
    "lines_total": "lines - discounts of the basket + added tax + rounding is not the total",
    "tenders_total": "what was tendered, change taken off, is not the total",
    "tax_total": "tax of the lines differs from that of the receipt by more than a minor unit a line",
    "no_lines": "a transaction without lines",
}
EARLIEST, LATEST = datetime(2015, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
PAID = frozenset({"sale", "deposit", "fee", "gift_card", "agency"})


def check(receipt: RetailTransaction) -> None:
    """Raises InvalidTransaction with the first rule that is broken."""
    _header(receipt)
    _lines(receipt)
    for tax in receipt.taxes:
        _within(tax.rate, 1_000, "$.taxes[...].rate")
    for tender in receipt.tenders:
        if tender.kind == "change" and tender.amount > 0:
            raise broken("tender_sign", "$.tenders[...].amount of change must not be positive")
        if (tender.foreign_currency is None) != (tender.foreign_amount is None):
            raise broken("foreign_amount", "$.tenders[...] needs foreign currency and amount both")
        if tender.foreign_currency is not None:
            _currency(tender.foreign_currency, "$.tenders[...].foreign_currency")
    _sums(receipt)


def broken(reason: str, message: str) -> InvalidTransaction:
    return InvalidTransaction(reason, message)


def _header(receipt: RetailTransaction) -> None:
    _currency(receipt.currency, "$.currency")
    if not EARLIEST <= receipt.ended_at < LATEST:
        raise broken("out_of_range", "$.ended_at must be from 2015 to 2100")
    if receipt.kind == "void":
        if receipt.voids is None:
            raise broken("refers_to_missing", "$.voids is required for a void")
        if receipt.voids == receipt.transaction_id:
            raise broken("refers_to_itself", "$.voids is the transaction's own id")
        if receipt.loyalty and receipt.loyalty.asked:
            raise broken("points_not_allowed", "$.loyalty.asked is not for a void")
    elif receipt.voids is not None:
        raise broken("refers_to_unexpected", "$.voids is for a void")
    if not receipt.lines:
        raise broken("no_lines", "$.lines must hold at least one line")


def _currency(code: str, where: str) -> None:
    try:
        exponent(code)
    except LookupError:
        raise broken("unknown_currency", f"{where} is not a currency of ISO 4217") from None


def _lines(receipt: RetailTransaction) -> None:
    numbers = {line.number for line in receipt.lines}
    if len(numbers) != len(receipt.lines):
        raise broken("line_twice", "$.lines[...].number is there twice")
    for n, line in enumerate(receipt.lines):
        _quantity(line.quantity, f"$.lines[{n}].quantity")
        _within(line.list_price, MOST, f"$.lines[{n}].list_price")
        _within(line.price, MOST, f"$.lines[{n}].price")
        for tax in line.taxes:
            _within(tax.rate, 1_000, f"$.lines[{n}].taxes[...].rate")
        paid = (line.kind in PAID) is not line.correction
        if not line.voided and (line.amount < 0 if paid else line.amount > 0):
            way = "negative" if paid else "positive"
            what = f"correction of a {line.kind}" if line.correction else line.kind
            raise broken("line_sign", f"$.lines[{n}].amount of a {what} must not be {way}")
        if line.back and line.kind not in ("return", "bottle_return"):
            raise broken("line_sign", f"$.lines[{n}].back is for what comes back")
        if line.back and line.back.receipt == receipt.transaction_id:
            raise broken("refers_to_itself", f"$.lines[{n}].back.receipt is the transaction's own")
        if line.parent is not None and line.parent not in numbers - {line.number}:
            raise broken("no_such_line", f"$.lines[{n}].parent is not the number of another line")
    for off in receipt.discounts:
        if off.line is not None and off.line not in numbers:
            raise broken("no_such_line", "$.discounts[...].line is not the number of a line")


def _quantity(quantity: Decimal, where: str) -> None:
    try:
        if thousandths(quantity) <= 0:
            raise broken("quantity", f"{where} must be more than 0")
    except NotExact as error:
        raise broken("quantity", f"{where} {error}") from None


def _within(number: Decimal | None, most: int, where: str) -> None:
    if number is not None and not (number.is_finite() and 0 <= number <= most):
        raise broken("out_of_range", f"{where} must be from 0 to {most}")


def _sums(receipt: RetailTransaction) -> None:
    counted = [line for line in receipt.lines if not line.voided]
    of_lines = sum(line.amount for line in counted)
    off = sum(discount.amount for discount in receipt.discounts)
    by_line = [tax for line in counted for tax in line.taxes]
    added = sum(tax.amount for tax in receipt.taxes or by_line if not tax.included)
    _equal("lines_total", of_lines - off + added + receipt.rounding, receipt.total)
    paid = [tender.amount for tender in receipt.tenders if not tender.declined]
    if paid:
        _equal("tenders_total", sum(paid), receipt.total)
    if receipt.taxes and by_line:
        _taxes(receipt.taxes, counted)


def _taxes(of_receipt: tuple[Tax, ...], lines: list[ReceiptLine]) -> None:
    told: Counter[str] = Counter()
    for tax in of_receipt:
        told[tax.code] += tax.amount
    found: Counter[str] = Counter()
    often: Counter[str] = Counter()
    for line in lines:
        for tax in line.taxes:
            found[tax.code] += tax.amount
            often[tax.code] += 1
    for code in told.keys() | found.keys():
        if abs(told[code] - found[code]) > often[code]:
            raise broken("tax_total", f"$.taxes: {RULES['tax_total']}")


def _equal(rule: str, found: int, total: int) -> None:
    if found != total:
        more = "more" if found > total else "less"
        raise broken(rule, f"$.total: {RULES[rule]}, but {abs(found - total)} minor units {more}")
