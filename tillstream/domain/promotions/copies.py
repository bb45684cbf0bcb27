"""A promotion passed on to those who act on it: each revision once, in order, to four readers."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from tillstream.domain.content import of_promotion
from tillstream.domain.promotions.promotion import Announcement


class Known(msgspec.Struct, array_like=True, gc=False):
    """What is kept of a promotion: the newest revision passed on, and a fingerprint of it (`domain.content`;
    empty where a release noted it that kept none: such a one takes whatever comes for a repeat). products,
    stores (None: all): where that revision put it; no products where it has no effect, or an earlier
    release passed it on."""

    revision: int = 0
    fingerprint: bytes = b""
    products: tuple[str, ...] = ()
    stores: tuple[int, ...] | None = None


class NotPassed(NamedTuple):
    """A revision that came after a later one, or with other content than before: not passed on, and not
    lost."""

    reason: str
    message: str


Copies = list[tuple[str, dict[str, Any]]]


def pass_on(
    known: Known | None, announced: Announcement, arrived_ms: int, origin: str
) -> tuple[Known | None, Copies | NotPassed]:
    """What is known after ``announced``, and (reader, copy) for each reader.

    The same revision again gives (None, []). ``missing`` in a copy: revisions that were skipped; they
    can no longer matter, for a revision replaces those before it whole. What it no longer names of the
    one before it loses the promotion: a shelf hears only of what names it, so a second copy for the
    inventory cancels this revision where that one was. Behind the first it holds only where the first
    did not (`promotion.take`).
    """
    known, said = known or Known(), of_promotion(announced)
    last = known.revision
    if announced.revision == last:
        if known.fingerprint in (said, b""):
            return None, []
        why = f"revision {last} came before with other content: what is new needs a later revision"
        return None, NotPassed("id_conflict", why)
    if announced.revision < last:
        why = f"revision {announced.revision} came after revision {last}"
        return None, NotPassed("outdated", why)
    whole = msgspec.to_builtins(announced)
    whole = {name: value for name, value in whole.items() if value is not None}
    head = {name: whole[name] for name in ("promotion_id", "revision", "status")}
    when = {"start_ms": announced.start_ms, "end_ms": announced.end_ms}
    where = {name: whole[name] for name in ("products", "stores") if name in whole}
    missing = announced.revision - last - 1
    pricing = {**head, **where, **when}
    if announced.price_cents is not None:
        pricing["price_cents"] = announced.price_cents
    if announced.currency is not None:
        pricing["currency"] = announced.currency
    copies = [
        ("inventory", whole),
        ("marketing", {**head, **when, "accepted_ms": arrived_ms, "missing": missing}),
        ("pricing", pricing),
        ("analytics", {**whole, "arrived_ms": arrived_ms, "origin": origin, "missing": missing}),
    ]
    if _leaves_out(known, announced):
        lost: dict[str, Any] = {**whole, "status": "cancelled", "products": known.products}
        lost.pop("stores", None)
        if known.stores is not None:
            lost["stores"] = known.stores
        copies.insert(1, ("inventory", lost))
    live = announced.status == "planned"
    products = announced.products if live else ()
    return Known(announced.revision, said, products, announced.stores if live else None), copies


def _leaves_out(known: Known, announced: Announcement) -> bool:
    """Whether the promotion was somewhere that ``announced`` does not name."""
    if not set(known.products) <= set(announced.products):
        return True
    if not known.products or announced.stores is None:
        return False
    return known.stores is None or not set(known.stores) <= set(announced.stores)
