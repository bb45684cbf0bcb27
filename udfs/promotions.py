"""The promotions job's stages: each revision passed on once; prices of one product compared."""

from __future__ import annotations

import msgspec
from pyflink.datastream import RuntimeContext

from tillstream.domain.arrival import refuse_ahead
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.notice import Notice, notice
from tillstream.domain.promotions.copies import Known, NotPassed, pass_on
from tillstream.domain.promotions.overlaps import Offer, Offers, Overlap, TooMany, offer_of, take
from tillstream.domain.promotions.promotion import Announcement, parse
from tillstream.domain.receipt.product import same
from tillstream.state_schemas.keyed import promotion_known, promotion_offers
from tillstream.udfs.single import Emitted, SingleStage
from tillstream.udfs.stage import DEAD_LETTERS

OFFERS = "offers"  # side outputs
NOTICES = "notices"


class PassOn(SingleStage):
    """Keyed by promotion. In: enveloped announcements. Out: copies for each reader as
    ``<reader>|<promotion_id>\\n<json>``; to the sides: dead letters as JSON bytes, and for `PriceOverlaps` a
    `Change` of each product behind a line with it."""

    sides = (DEAD_LETTERS, OFFERS)
    codec = promotion_known.CODEC
    kept = "promotion"

    def record(self, state: Known | None, value: bytes, out: Emitted) -> Known | None:
        envelope = unseal(value)
        announced = parse(envelope.raw)
        ahead_ms = self.settings.clock_ahead_ms
        refuse_ahead(announced.announced_ms, "announced_ms", envelope, ahead_ms)
        after, copies = pass_on(state, announced, envelope.arrived_ms, envelope.origin)
        if isinstance(copies, NotPassed):
            self.refuse(envelope, "apply", copies.reason, copies.message, out)
            return None
        for reader, copy in copies:
            out.emit(f"{reader}|{announced.promotion_id}\n".encode() + msgspec.json.encode(copy))
        if after is not None:
            _offers(state, announced, envelope.arrived_ms, out)
        return after


class Change(msgspec.Struct, frozen=True, gc=False):
    """What a promotion asks for a product from now on; an offer without a price is none."""

    product: str
    offer: Offer
    arrived_ms: int


def _offers(before: Known | None, announced: Announcement, arrived_ms: int, out: Emitted) -> None:
    """Of products that it names, and of those that its revision before named and it does not."""
    offer = offer_of(announced)
    none = msgspec.structs.replace(offer, price=None, stores=None)
    now = dict.fromkeys(map(same, announced.products), offer)
    lost = dict.fromkeys(map(same, before.products if before else ()), none)
    for product, asked in (lost | now).items():
        change = msgspec.json.encode(Change(product, asked, arrived_ms))
        out.emit(f"{product}\n".encode() + change, OFFERS)


class PriceOverlaps(SingleStage):
    """Keyed by product. In: `Change` as JSON bytes. Out: each `Overlap` as JSON bytes; to the sides, as JSON
    bytes: dead letters, and a notice to those who make prices, one for each two promotions."""

    codec = promotion_offers.CODEC
    kept = "offers"
    sides = (DEAD_LETTERS, NOTICES)

    def start(self, runtime_context: RuntimeContext) -> None:
        self.read = msgspec.json.Decoder(Change).decode

    def record(self, state: Offers | None, value: bytes, out: Emitted) -> Offers | None:
        change = self.read(value)
        after, found = take(state, change.product, change.offer, change.arrived_ms)
        if isinstance(found, TooMany):
            part = self.part(value, change.arrived_ms, typed=True)
            self.refuse(part, "apply", found.reason, found.message, out)
            return after
        for one in found:
            out.emit(msgspec.json.encode(one))
            out.emit(msgspec.json.encode(_told(one, change.arrived_ms)), NOTICES)
        return after

    def sent(self, value: bytes) -> Envelope:
        return self.part(value, typed=True)


def _told(one: Overlap, at_ms: int) -> Notice:
    """The id says the two promotions and not the product: 500 products in both are one thing to decide."""
    pair = one.overlap_id.rpartition("/")[0]
    params: dict[str, str | int] = {
        "product": one.product, "holds": one.holds.promotion_id, "price": one.holds.price_cents,
        "gives_way": one.gives_way.promotion_id, "other_price": one.gives_way.price_cents,
        "currency": one.currency or "",
    }  # fmt: skip
    return notice("alert", "team:pricing", "promotions_overlap", pair, at_ms, params)
