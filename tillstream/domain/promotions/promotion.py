"""A promotion as marketing announces it, contracts v1 and v2, and what it does to expected demand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tillstream.domain.documents import Id, Ms, ShelfProduct, StoreNumber, decode, refuse
from tillstream.domain.receipt.product import same

NO_UPLIFT = 100


class Announcement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What marketing sent. A later ``revision`` replaces an earlier one whole; without ``stores`` it
    holds in all. uplift_percent: expected demand, 100 is unchanged. price_cents: minor units of ``currency``,
    which contract v1 does not say."""

    schema: Literal[1, 2]
    promotion_id: Id
    revision: Annotated[int, Meta(ge=1, le=1_000_000)]
    status: Literal["planned", "cancelled"]
    products: Annotated[tuple[ShelfProduct, ...], Meta(min_length=1, max_length=500)]
    stores: Annotated[tuple[StoreNumber, ...], Meta(min_length=1, max_length=2900)] | None = None
    start_ms: Ms
    end_ms: Ms
    uplift_percent: Annotated[int, Meta(ge=100, le=2000)]
    price_cents: Annotated[int, Meta(ge=0, le=100_000_000)] | None = None
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")] | None = None
    announced_ms: Ms


class Promotion(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What a product in a store keeps of a promotion; a cancelled one has no uplift."""

    promotion_id: str
    revision: int
    start_ms: int
    end_ms: int
    uplift_percent: int


class PromotionLine(msgspec.Struct, tag="promotion", frozen=True, gc=False):
    """A promotion for one product in one store."""

    store: int
    product: str
    event_time_ms: int
    promotion: Promotion

    @property
    def line_id(self) -> str:
        return f"P:{self.promotion.promotion_id}/{self.promotion.revision}"


def parse(raw: bytes) -> Announcement:
    """Raises InvalidTransaction, and nothing else."""
    found = decode(raw, Announcement)
    if found.end_ms <= found.start_ms:
        raise refuse("out_of_range", "$.end_ms must be after $.start_ms")
    if found.schema == 1:
        if found.currency is not None:
            raise refuse("unknown_field", "$.currency is a field of schema 2")
        for n, product in enumerate(found.products):
            if not product.isdigit():
                raise refuse("bad_format", f"$.products[{n}]: produce codes are of schema 2")
    elif found.price_cents is not None and found.currency is None:
        raise refuse("missing_field", "$.currency is missing: a price has one")
    return found


def kept_of(announced: Announcement) -> Promotion:
    """What every product and store it is about keeps of it."""
    cancelled = announced.status == "cancelled"
    return Promotion(
        announced.promotion_id,
        announced.revision,
        announced.start_ms,
        announced.end_ms,
        NO_UPLIFT if cancelled else announced.uplift_percent,
    )


def lines(announced: Announcement, all_stores: Iterable[int]) -> Iterable[PromotionLine]:
    """One line for each product and store."""
    kept = kept_of(announced)
    products = [same(product) for product in announced.products]
    for store in announced.stores or all_stores:
        for product in products:
            yield PromotionLine(store, product, announced.announced_ms, kept)


def take(known: list[Promotion], new: Promotion, newest_ms: int) -> list[Promotion]:
    """``known`` with ``new`` in it, unless a revision as new is there; without what is over."""
    kept = [p for p in known if p.end_ms > newest_ms and p.promotion_id != new.promotion_id]
    same = [p for p in known if p.promotion_id == new.promotion_id]
    return [*kept, max([*same, new], key=lambda p: p.revision)]


def uplift(promotions: list[Promotion], at_ms: int, ahead_ms: int) -> tuple[int, int]:
    """(uplift in per cent at ``at_ms``, when it changes next). Promotions do not multiply: the largest
    counts. One counts ``ahead_ms`` before its start, so that what it needs is there in time."""
    percent, until = NO_UPLIFT, 2**62
    for promotion in promotions:
        begin = promotion.start_ms - ahead_ms
        if begin <= at_ms < promotion.end_ms:
            percent = max(percent, promotion.uplift_percent)
            until = min(until, promotion.end_ms)
        elif at_ms < begin:
            until = min(until, begin)
    return percent, until
