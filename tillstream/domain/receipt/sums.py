"""What must hold in a receipt beyond the form of its fields. Each rule has a name, which is the reason of the
dead letter of a receipt that breaks it.

A voided line counts for nothing, a declined tender neither. The lines' own amounts are final: a unit price
times a quantity is not recomputed, for three for R20 and a price per pound make that wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tillstream.domain.receipt.amounts import MOST, NotExact, exponent, thousandths
from tillstream.domain.receipt.contract import ReceiptLine, RetailTransaction, Tax
from tillstream.domain.transaction import InvalidTransaction

RULES = {
    "unknown_currency": "a currency that ISO 4217 does not have",
    "quantity": "a quantity that is not positive, or finer than a thousandth",
    "line_sign": "goods that come back with a positive amount, or that are sold with a negative one",
    "line_twice": "two lines of one number",
    "no_such_line": "a discount or part of a line that is not there",
    "nothing_to_correct": "lines that take back more of a product than the receipt has",
    "discount": "discounts of more than the lines they are of",
    "rounding": "rounding of more than a hundredth of the lines, and of a hundred units",
    "tender": "change that is positive, cash given out beyond the tender, a card's token without a card",
    "foreign_amount": "a foreign amount without its currency, in the receipt's own, or the other way round",
    "points": "more points granted than asked for",
    "agency": "a kind of agency goods on another line, or none on theirs",
    "lines_total": "lines - discounts of the basket + added tax + rounding is not the total",
    "tenders_total": "what was tendered, change taken off, is not the total",
    "tax_total": "tax of the lines differs from that of the receipt by more than a unit a line",
    "no_lines": "a transaction without lines",
}
EARLIEST, LATEST = datetime(2015, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
PAID = frozenset({"sale"})
BACK = frozenset({"return", "bottle_return", "coupon"})
# Fees, deposits, gift cards, agency goods go either way: a prize is paid out, a card cashed in.
MOST_ROUNDING = 100
LONGEST_SALE, LONGEST_DAY = timedelta(days=2), timedelta(days=31)


def check(receipt: RetailTransaction) -> None:
    """Raises InvalidTransaction with the first rule that is broken."""
    _header(receipt)
    _lines(receipt)
    _corrections(receipt)
    _tenders(receipt)
    _sums(receipt)


def broken(reason: str, message: str) -> InvalidTransaction:
    return InvalidTransaction(reason, message)


def _header(receipt: RetailTransaction) -> None:
    _currency(receipt.currency, "$.currency")
    ended, began, day = receipt.ended_at, receipt.began_at, receipt.business_day
    if not EARLIEST <= ended < LATEST:
        raise broken("out_of_range", "$.ended_at must be from 2015 to 2100")
    if began is not None and began > ended:
        raise broken("out_of_range", "$.began_at must not be after $.ended_at")
    if began is not None and not (began >= EARLIEST and ended - began <= LONGEST_SALE):
        raise broken("out_of_range", "$.began_at must be at most two days before $.ended_at")
    if day is not None and abs(day - ended.date()) > LONGEST_DAY:
        raise broken("out_of_range", "$.business_day must be at most 31 days from $.ended_at")
    if receipt.kind == "void":
        if receipt.voids is None:
            raise broken("refers_to_missing", "$.voids is required for a void")
        if receipt.voids == receipt.transaction_id:
            raise broken("refers_to_itself", "$.voids is the transaction's own id")
        if receipt.loyalty and receipt.loyalty.asked:
            raise broken("points_not_allowed", "$.loyalty.asked is not for a void")
    elif receipt.voids is not None:
        raise broken("refers_to_unexpected", "$.voids is for a void")
    if receipt.loyalty and (receipt.loyalty.granted or 0) > receipt.loyalty.asked:
        raise broken("points", "$.loyalty.granted must not be more than $.loyalty.asked")
    if not receipt.lines:
        raise broken("no_lines", "$.lines must hold at least one line")


def _currency(code: str, where: str) -> None:
    try:
        exponent(code)
    except LookupError:
        raise broken("unknown_currency", f"{where} is not a currency of ISO 4217") from None


def _lines(receipt: RetailTransaction) -> None:
    numbers = {line.number for line in receipt.lines}
    counted = {line.number for line in receipt.lines if not line.voided}
    if len(numbers) != len(receipt.lines):
        raise broken("line_twice", "$.lines[...].number is there twice")
    for n, line in enumerate(receipt.lines):
        where = f"$.lines[{n}]"
        _quantity(line.quantity, f"{where}.quantity")
        _within(line.list_price, MOST, f"{where}.list_price")
        _within(line.price, MOST, f"{where}.price")
        for tax in line.taxes:
            _within(tax.rate, 1_000, f"{where}.taxes[...].rate")
        _sign(line, where)
        if any(discount.line is not None for discount in line.discounts):
            raise broken("no_such_line", f"{where}.discounts[...].line is for the basket's alone")
        if (line.agency is None) is (line.kind == "agency"):
            raise broken("agency", f"{where}.agency is for lines of kind agency, and theirs")
        if line.back and line.kind not in ("return", "bottle_return"):
            raise broken("line_sign", f"{where}.back is for what comes back")
        if line.back and line.back.receipt == receipt.transaction_id:
            raise broken("refers_to_itself", f"{where}.back.receipt is the transaction's own")
        if line.parent is not None and line.parent not in numbers - {line.number}:
            raise broken("no_such_line", f"{where}.parent is not the number of another line")
    for off in receipt.discounts:
        if off.line is not None and off.line not in counted:
            raise broken("no_such_line", "$.discounts[...].line is not the number of a line")


def _sign(line: ReceiptLine, where: str) -> None:
    if line.voided or line.kind not in PAID | BACK:
        return
    paid = (line.kind in PAID) is not line.correction
    if line.amount < 0 if paid else line.amount > 0:
        way = "negative" if paid else "positive"
        what = f"correction of a {line.kind}" if line.correction else line.kind
        raise broken("line_sign", f"{where}.amount of a {what} must not be {way}")


def _corrections(receipt: RetailTransaction) -> None:
    """What takes an earlier line back must have one: else cash goes out without a return, or stock comes out
    of nothing."""
    if not any(line.correction and not line.voided for line in receipt.lines):
        return
    left: Counter[tuple[str, str, str]] = Counter()
    pieces: Counter[tuple[str, str, str, str]] = Counter()
    for n, line in enumerate(receipt.lines):
        if line.voided:
            continue
        product = line.kind, line.scheme, line.code
        before = left[product]
        left[product] += line.amount
        pieces[*product, line.unit] += thousandths(line.quantity) * (-1 if line.correction else 1)
        more = abs(line.amount) > abs(before) or pieces[*product, line.unit] < 0
        if line.correction and (more or line.amount * before > 0):
            raise broken(
                "nothing_to_correct", f"$.lines[{n}] takes back what no line before it has"
            )


def _quantity(quantity: Decimal, where: str) -> None:
    try:
        if thousandths(quantity) <= 0:
            raise broken("quantity", f"{where} must be more than 0")
    except NotExact as error:
        raise broken("quantity", f"{where} {error}") from None


def _within(number: Decimal | None, most: int, where: str) -> None:
    if number is not None and not (number.is_finite() and 0 <= number <= most):
        raise broken("out_of_range", f"{where} must be from 0 to {most}")


def _tenders(receipt: RetailTransaction) -> None:
    for tender in receipt.tenders:
        if tender.kind == "change" and tender.amount > 0:
            raise broken("tender", "$.tenders[...].amount of change must not be positive")
        if tender.cashback > max(tender.amount, 0):
            raise broken("tender", "$.tenders[...].cashback must not be more than the tender")
        if tender.card_token is not None and tender.kind != "card":
            raise broken("tender", "$.tenders[...].card_token is for a card")
        foreign, amount = tender.foreign_currency, tender.foreign_amount
        if (foreign is None) != (amount is None) or foreign == receipt.currency:
            raise broken("foreign_amount", "$.tenders[...] needs another currency and its amount")
        if foreign is not None and amount is not None:
            _currency(foreign, "$.tenders[...].foreign_currency")
            if amount * tender.amount < 0:
                raise broken("foreign_amount", "$.tenders[...].foreign_amount has another sign")


def _sums(receipt: RetailTransaction) -> None:
    counted = [line for line in receipt.lines if not line.voided]
    whole = sum(abs(line.amount) for line in counted)
    of_lines = sum(line.amount for line in counted)
    off = sum(discount.amount for discount in receipt.discounts)
    if abs(off) > whole:
        raise broken("discount", f"$.discounts: {RULES['discount']}")
    if abs(receipt.rounding) > max(MOST_ROUNDING, whole // 100):
        raise broken("rounding", f"$.rounding: {RULES['rounding']}")
    for tax in receipt.taxes:
        _within(tax.rate, 1_000, "$.taxes[...].rate")
    added = sum(tax.amount for tax in counted_taxes(receipt, counted) if not tax.included)
    _equal("lines_total", of_lines - off + added + receipt.rounding, receipt.total)
    if receipt.tenders:
        taken = sum(tender.amount for tender in receipt.tenders if not tender.declined)
        _equal("tenders_total", taken, receipt.total)
    if receipt.taxes and counted and all(line.taxes for line in counted):
        _taxes(receipt, counted)


def counted_taxes(receipt: RetailTransaction, lines: Iterable[ReceiptLine]) -> list[Tax]:
    """Those of the receipt, and of the lines those that the receipt does not list."""
    listed = {(tax.code, tax.included) for tax in receipt.taxes}
    by_line = (tax for line in lines for tax in line.taxes)
    return [*receipt.taxes, *(tax for tax in by_line if (tax.code, tax.included) not in listed)]


def rounded_to(receipt: RetailTransaction, lines: Iterable[ReceiptLine]) -> int:
    """Minor units of what a till rounds tax to: a whole unit of the currency where all amounts are such, as
    in Indonesia, Hungary or Taiwan, which have decimals by ISO 4217 only; else one."""
    whole: int = 10 ** exponent(receipt.currency)
    amounts = [receipt.total, *(tax.amount for tax in receipt.taxes)]
    for line in lines:
        amounts.append(line.amount)
        amounts.extend(tax.amount for tax in line.taxes)
    return 1 if any(amount % whole for amount in amounts) else whole


def _taxes(receipt: RetailTransaction, lines: list[ReceiptLine]) -> None:
    told: Counter[tuple[str, bool]] = Counter()
    for tax in receipt.taxes:
        told[tax.code, tax.included] += tax.amount
    found: Counter[tuple[str, bool]] = Counter()
    often: Counter[tuple[str, bool]] = Counter()
    for line in lines:
        for tax in line.taxes:
            found[tax.code, tax.included] += tax.amount
            often[tax.code, tax.included] += 1
    unit = rounded_to(receipt, lines)
    for key in told:
        if abs(told[key] - found[key]) > often[key] * unit:
            figures = f"{found[key]} of the lines, {told[key]} of the receipt"
            raise broken("tax_total", f"$.taxes: {RULES['tax_total']}: {figures}")


def _equal(rule: str, found: int, total: int) -> None:
    if found != total:
        more = "more" if found > total else "less"
        raise broken(rule, f"$.total: {RULES[rule]}, but {abs(found - total)} minor units {more}")
