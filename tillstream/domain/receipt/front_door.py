"""From what a sender wrote to the one form of every job: products, signs, shares of the total."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tillstream.domain.personal.personal_data import masked
from tillstream.domain.receipt.amounts import thousandths
from tillstream.domain.receipt.canonical import Item, Paid, Receipt, TaxOf
from tillstream.domain.receipt.contract import Back, ReceiptLine, RetailTransaction
from tillstream.domain.receipt.product import BY_COUNTRY, Embedded, Product, canonical
from tillstream.domain.receipt.sums import BACK, PAID
from tillstream.domain.receipt.taxes import Rated, Taxes, by_line, net
from tillstream.domain.transaction import InvalidTransaction, Transaction

GOODS = frozenset({"sale", "return"})
NO_KINDS: Mapping[str, str] = MappingProxyType({})


class StorePlace(NamedTuple):
    """What the grocer's table says of a store: its number, IANA zone, ISO 4217 currency, country, region."""

    number: int
    zone: str
    currency: str
    country: str
    region: str


UNKNOWN = "unknown"  # the region of a store that the table does not have
MOST_STORE = 2**31 - 1


class KnownStores:
    """The grocer's stores by what tills call them: the number, with or without zeros before it, or another
    id of the table's."""

    def __init__(self, by_id: Mapping[str, StorePlace], accept_unknown: bool = False) -> None:
        """``accept_unknown``: a store that is not in the table is accepted if it has a number; its region is
        `UNKNOWN`, its zone UTC."""
        self._by_id = by_id
        self._accept_unknown = accept_unknown

    def get(self, said: str) -> StorePlace | None:
        place = self._by_id.get(said) or self._by_id.get(said.lstrip("0"))
        if place is None and self._accept_unknown:
            number = int(said) if said.isascii() and said.isdigit() and len(said) < 19 else 0
            if 0 < number <= MOST_STORE:
                return StorePlace(number, "UTC", "", "", UNKNOWN)
        return place

    def of(self, said: str) -> StorePlace:
        """The store that a till calls so. Raises InvalidTransaction where there is none."""
        place = self.get(said)
        if place is None:
            message = "$.store is not in the table of stores (reference.stores, its column ids too)"
            raise InvalidTransaction("unknown_store", message)
        return place


def of_contract(
    sent: RetailTransaction,
    place: StorePlace,
    source: str,
    categories: Mapping[str, str] | None = None,
    embedded: Sequence[Embedded] | None = None,
    kinds: Mapping[str, str] = NO_KINDS,
) -> Receipt:
    """The canonical form of a checked transaction. ``categories``: of canonical products, for lines that say
    none; ``embedded``: how scales print prices and weights, in place of the country's usual ways; ``kinds``:
    by category, what tills sell like goods and is none (`kind_of`).

    No text of the sender comes into it as it was but ids, dates and codes of a declared form: lots, sources,
    slugs, codes of taxes and products of other forms are free text, in which `personal_data` is masked."""
    way = -1 if sent.kind == "void" else 1
    rules = BY_COUNTRY.get(place.country, ()) if embedded is None else embedded
    lines = [line for line in sent.lines if not line.voided]
    paid, off, taxes, kinds_of_tax = _shares(sent, lines, way)
    place_of = {at: n for n, at in enumerate(kinds_of_tax)}
    items = []
    columns = (lines, paid, off, taxes.by_line, _backs(lines))
    for line, share, less, taxed, back in zip(*columns, strict=True):
        product = canonical(line.scheme, line.code, rules)
        quantity, unit = _quantity(line, product)
        category = line.category or (categories or {}).get(product.code, "")
        kind = kind_of(line.kind, category, kinds)
        items.append(
            Item(
                kind=kind,
                product=product.code,
                amount=way * line.amount,
                paid=way * share,
                thousandths=way * quantity,
                unit=unit,
                category=masked(category) if category else "",
                list_price=None if line.list_price is None else round(line.list_price),
                off=way * less,
                tax=way * sum(taxed.values()),
                back_to=back.fate if back else "shelf" if line.kind == "return" else "",
                of=back.receipt or "" if back else "",
                reason=masked((back.reason if back else None) or line.override or ""),
                agency=line.agency or (masked(category) if kind == "agency" else ""),
                promotions=tuple(d.promotion for d in line.discounts if d.promotion),
                expires=line.expires.isoformat() if line.expires else "",
                lot=masked(line.lot) if line.lot else "",
                taxed=tuple(place_of[at] for at in taxed),
                taxes=tuple(way * amount for amount in taxed.values()) if len(taxed) > 1 else (),
            )
        )
    ended = sent.ended_at.astimezone(ZoneInfo(place.zone))
    taken = [tender for tender in sent.tenders if not tender.declined]
    return Receipt(
        transaction_id=sent.transaction_id,
        kind=sent.kind,
        source=masked(source),
        store=place.number,
        region=place.region,
        till=sent.till,
        ended_ms=_ms(sent.ended_at),
        offset_min=_offset(ended),
        business_day=(sent.business_day or ended.date()).isoformat(),
        currency=sent.currency,
        total=way * sent.total,
        lines=tuple(items),
        tenders=tuple(
            Paid(t.kind, way * t.amount, t.card_token or "", t.cashback, t.foreign_currency or "")
            for t in taken
        ),
        tax=sum(tax.amount for tax in kinds_of_tax.values()),
        rounding=way * sent.rounding,
        customer=sent.loyalty.customer if sent.loyalty else "",
        points_asked=sent.loyalty.asked if sent.loyalty else 0,
        points_granted=sent.loyalty.granted if sent.loyalty else None,
        voids=sent.voids or "",
        cashier=sent.cashier or "",
        channel=sent.channel,
        offline=sent.offline,
        sequence=sent.sequence,
        began_ms=_ms(sent.began_at) if sent.began_at else None,
        declined=len(sent.tenders) - len(taken),
        voided=len(sent.lines) - len(lines),
        taxes=tuple(kinds_of_tax.values()),
    )


def of_v1(sent: Transaction, place: StorePlace, kinds: Mapping[str, str] = NO_KINDS) -> Receipt:
    """The canonical form of a transaction of contract v1, whose refunds and voids have positive amounts.
    ``kinds``: see `kind_of`."""
    way = 1 if sent.kind == "sale" else -1
    items = []
    for line in sent.lines:
        amount = way * line.quantity * line.unit_price_cents
        kind = kind_of("return" if sent.kind == "refund" else "sale", line.category, kinds)
        items.append(
            Item(
                kind=kind,
                product=canonical("gtin", line.product).code,
                amount=amount,
                paid=amount,
                thousandths=way * line.quantity * 1000,
                category=line.category,
                list_price=line.unit_price_cents,
                back_to="shelf" if sent.kind == "refund" else "",
                of=sent.refers_to or "" if sent.kind == "refund" else "",
                agency=line.category if kind == "agency" else "",
            )
        )
    ended = datetime.fromtimestamp(sent.event_time_ms / 1000, ZoneInfo(place.zone))
    total = way * sent.total_cents
    return Receipt(
        transaction_id=sent.transaction_id,
        kind="void" if sent.kind == "void" else "retail",
        source="pos/1",
        store=sent.store,
        region=sent.region,
        till=str(sent.till),
        ended_ms=sent.event_time_ms,
        offset_min=_offset(ended),
        business_day=ended.date().isoformat(),
        currency=sent.currency,
        total=total,
        lines=tuple(items),
        tenders=(Paid(sent.payment_method, total, sent.card_token or ""),),
        customer=sent.customer_id or "",
        points_asked=sent.points_to_redeem,
        voids=sent.refers_to or "" if sent.kind == "void" else "",
    )


def kind_of(kind: str, category: str, kinds: Mapping[str, str]) -> str:
    """Of a line of goods; what tills ring up as goods and is none (gift cards, airtime) is told by its
    category: ``kinds`` has category -> kind of line."""
    return kinds.get(category, kind) if kind in ("sale", "return") else kind


def partition_of(receipt: Receipt) -> str:
    """What keeps the order of a customer's, else a card's, else a till's transactions."""
    if receipt.customer:
        return receipt.customer
    token = next((tender.card_token for tender in receipt.tenders if tender.card_token), "")
    return token or f"{receipt.store}/{receipt.till}"


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _offset(at: datetime) -> int:
    offset = at.utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) // 60


def _quantity(line: ReceiptLine, product: Product) -> tuple[int, str]:
    """With the sign of what leaves the shop, and its unit. A weight in the barcode counts where the till says
    no other quantity."""
    quantity, unit = thousandths(line.quantity), line.unit
    if product.weight and unit == "each" and quantity == 1000:
        quantity, unit = product.weight, "kg"
    leaves = line.amount >= 0
    if line.kind in PAID | BACK:
        leaves = (line.kind in PAID) is not line.correction
    return quantity if leaves else -quantity, unit


def _shares(
    sent: RetailTransaction, lines: list[ReceiptLine], way: int
) -> tuple[list[int], list[int], Taxes, dict[Rated, TaxOf]]:
    """By line: what it adds to the total, what discounts take off, and tax; and each tax of the receipt. What
    is said of the basket alone is shared out by amount among the lines that go the total's way, as far as
    they were not taken out again; discounts among goods, where there are any: nothing is off a gift card, a
    deposit or airtime."""
    of_basket = sum(d.amount for d in sent.discounts if d.line is None)
    directed = {line.number: 0 for line in lines}
    for discount in sent.discounts:
        if discount.line is not None:
            directed[discount.line] += discount.amount
    amounts = [line.amount - directed[line.number] for line in lines]
    left = _left(lines, amounts)
    of_goods = [
        amount if line.kind in GOODS else 0 for line, amount in zip(lines, left, strict=True)
    ]
    less = shared(of_basket, of_goods if any(of_goods) else left)
    taxes = by_line(sent, lines, left, shared)
    rounding = shared(sent.rounding, left)
    on_top = [taxes.of(n, included=False) for n in range(len(lines))]
    paid = [a - d + t + r for a, d, t, r in zip(amounts, less, on_top, rounding, strict=True)]
    own = (sum(d.amount for d in line.discounts) for line in lines)
    off = [o + directed[line.number] + d for o, line, d in zip(own, lines, less, strict=True)]
    bases = [
        a - d - taxes.of(n, included=True)
        for n, (a, d) in enumerate(zip(amounts, less, strict=True))
    ]
    listed = {
        at: _tax_of(at, way, amount, net(at, amount, taxes, bases))
        for at, amount in taxes.sums().items()
    }
    return paid, off, taxes, listed


def _left(lines: list[ReceiptLine], amounts: list[int]) -> list[int]:
    """Of each line's amount what corrections after it leave of it, of the product's lines first the one that
    is alike, then the latest; of a correction nothing. The sum stays."""
    left = list(amounts)
    for n, line in enumerate(lines):
        if not line.correction:
            continue
        product = line.kind, line.scheme, line.code
        latest = [
            m
            for m in range(n - 1, -1, -1)
            if (lines[m].kind, lines[m].scheme, lines[m].code) == product
            and not lines[m].correction
        ]
        alike = [m for m in latest if left[m] == -left[n] and _alike(lines[m], line)]
        for before in (*alike[:1], *latest):
            if left[before] * left[n] < 0:
                part = min(abs(left[before]), abs(left[n])) * (1 if left[n] > 0 else -1)
                left[before] += part
                left[n] -= part
    return left


def _backs(lines: list[ReceiptLine]) -> list[Back | None]:
    """What lines say of goods that come back. A correction of a return that says nothing of it has that of
    the line that it takes back: the latest alike, else the latest of the product."""
    backs = [line.back for line in lines]
    open_: list[int] = []
    for n, line in enumerate(lines):
        if line.kind != "return":
            continue
        if not line.correction:
            open_.append(n)
            continue
        fits = [
            m
            for m in open_
            if (lines[m].scheme, lines[m].code) == (line.scheme, line.code)
            and (line.back is None or _fate(backs[m]) == line.back.fate)
        ]
        alike = [m for m in fits if _alike(lines[m], line)]
        if line.back is None and fits:
            backs[n] = backs[(alike or fits)[-1]]
        if alike:
            open_.remove(alike[-1])
    return backs


def _fate(back: Back | None) -> str:
    return back.fate if back else "shelf"


def _alike(line: ReceiptLine, correction: ReceiptLine) -> bool:
    figures = line.amount, line.quantity, line.unit
    return figures == (-correction.amount, correction.quantity, correction.unit)


def _tax_of(at: Rated, way: int, amount: int, on: int | None) -> TaxOf:
    return TaxOf(
        masked(at.code), way * amount, at.rate, not at.included, None if on is None else way * on
    )


def shared(whole: int, amounts: Sequence[int]) -> list[int]:
    """``whole`` in parts like ``amounts``, of those that have the sign of their sum; the parts make it
    exactly (largest remainder). All to the first where there is nothing to go by; of no amounts nothing."""
    if not amounts or not whole:
        return [0] * len(amounts)
    up = sum(amounts) >= 0
    weights = [max(a, 0) if up else max(-a, 0) for a in amounts]
    base = sum(weights)
    if not base:
        return [whole] + [0] * (len(amounts) - 1)
    parts = [whole * weight // base for weight in weights]
    left = whole - sum(parts)
    by_remainder = sorted(range(len(amounts)), key=lambda n: (-(whole * weights[n] % base), n))
    for n in by_remainder[:left]:
        parts[n] += 1
    return parts
