"""Two promotions of one product at different prices, in the same stores at the same time.

The lower price holds. Whoever shows two prices may ask no more than the lower one (South Africa's Consumer
Protection Act 68 of 2008, section 23; other countries' laws say the same), and both are announced. At the
same price nothing overlaps that anyone would see.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from tillstream.domain.promotions.promotion import Announcement

MOST_OFFERS = 64  # of one product at a time


class Offer(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What a promotion asks for one product. stores: None for all. price: minor units for a piece, None where
    none was announced or the promotion has no effect. currency: None where contract v1 says none."""

    promotion_id: str
    revision: int
    start_ms: int
    end_ms: int
    price: int | None
    currency: str | None = None
    stores: tuple[int, ...] | None = None


class Offers(msgspec.Struct, array_like=True, gc=False):
    """All of one product that are not over."""

    offers: list[Offer] = []


class Priced(msgspec.Struct, frozen=True, gc=False):
    """One side of an overlap."""

    promotion_id: str
    revision: int
    price_cents: int


class Overlap(msgspec.Struct, frozen=True, gc=False):
    """JSON on `promotions-overlaps`, keyed by ``product``. From ``from_ms`` until ``until_ms``, in ``stores``
    (None: all), ``holds`` is what a customer pays and ``gives_way`` is not. ``currency`` is None where one of
    the two says none; they are compared by number then."""

    overlap_id: str
    product: str
    from_ms: int
    until_ms: int
    stores: tuple[int, ...] | None
    currency: str | None
    holds: Priced
    gives_way: Priced


class TooMany(NamedTuple):
    """More promotions of one product at a time than are compared."""

    reason: str
    message: str


def offer_of(announced: Announcement) -> Offer:
    """The same for each product of it."""
    price = announced.price_cents if announced.status == "planned" else None
    return Offer(
        announced.promotion_id, announced.revision, announced.start_ms, announced.end_ms,
        price, announced.currency, announced.stores,
    )  # fmt: skip


def take(
    known: Offers | None, product: str, offer: Offer, now_ms: int
) -> tuple[Offers, list[Overlap] | TooMany]:
    """``offer`` takes the place of its promotion's earlier revision; with what it overlaps. What ended before
    ``now_ms``, when it arrived, is forgotten."""
    mine = offer.promotion_id
    others = [o for o in (known or Offers()).offers if o.promotion_id != mine and o.end_ms > now_ms]
    if offer.price is None or offer.end_ms <= now_ms:
        return Offers(others), []
    if len(others) >= MOST_OFFERS:
        message = (
            f"product {product} has {MOST_OFFERS} promotions already: overlaps are not looked for"
        )
        return Offers(others), TooMany("too_many", message)
    found = [one for other in others if (one := _overlap(product, offer, other)) is not None]
    return Offers([*others, offer]), found


def _overlap(product: str, one: Offer, other: Offer) -> Overlap | None:
    assert one.price is not None
    assert other.price is not None
    begin, end = max(one.start_ms, other.start_ms), min(one.end_ms, other.end_ms)
    elsewhere = None not in (one.currency, other.currency) and one.currency != other.currency
    if begin >= end or one.price == other.price or elsewhere:
        return None
    if one.stores is None or other.stores is None:
        stores = one.stores if other.stores is None else other.stores
    else:
        stores = tuple(sorted(set(one.stores) & set(other.stores)))
        if not stores:
            return None
    low, high = (one, other) if one.price < other.price else (other, one)
    first, second = sorted((one, other), key=lambda o: o.promotion_id)
    pair = f"{first.promotion_id}/{first.revision}~{second.promotion_id}/{second.revision}"
    currency = one.currency if one.currency == other.currency else None
    return Overlap(
        f"{pair}/{product}", product, begin, end, stores, currency, *map(_priced, (low, high))
    )


def _priced(offer: Offer) -> Priced:
    assert offer.price is not None
    return Priced(offer.promotion_id, offer.revision, offer.price)
