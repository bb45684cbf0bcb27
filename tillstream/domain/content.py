"""Whether two records of one id say the same: till and server may count a number twice, a document or a
promotion's revision may be sent again with other content."""

from __future__ import annotations

from hashlib import blake2b
from typing import Generic, TypeVar

import msgspec

from tillstream.domain.promotions.promotion import Announcement
from tillstream.domain.receipt.canonical import Receipt
from tillstream.domain.stock.movement import Movement

T = TypeVar("T", bound=msgspec.Struct)
_encode = msgspec.json.Encoder(order="sorted").encode


class Fingerprint(Generic[T]):
    """Eight bytes of all that a record of a contract says, lists in their order.

    It is kept in state: what it is made of cannot change. What is absent or has its default counts for
    nothing, so a field that a later contract adds changes none of a record without it (a struct within
    has ``omit_defaults`` for that). The version of
    the contract counts for nothing, nor does what is ``left_out``: the id, and the time of sending.
    """

    def __init__(self, contract: type[T], *left_out: str) -> None:
        fields = msgspec.structs.fields(contract)
        self._fields = sorted(
            (one.name, one.default) for one in fields if one.name not in ("schema", *left_out)
        )

    def __call__(self, record: T) -> bytes:
        said = {
            name: value
            for name, default in self._fields
            if (value := getattr(record, name)) != default
        }
        return blake2b(_encode(said), digest_size=8).digest()


def of_receipt(receipt: Receipt) -> bytes:
    """Of what the till said. What the grocer's tables and rules made of it (region, business day, kinds and
    categories of goods, scales' codes taken apart) may be another a day later, when it comes again."""
    said = (
        receipt.kind, receipt.store, receipt.till, receipt.ended_ms, receipt.currency, receipt.total,
        receipt.customer, receipt.points_asked, receipt.voids, receipt.cashier, receipt.sequence,
        [(line.amount, line.thousandths, line.of, line.lot) for line in receipt.lines],
        [(paid.kind, paid.amount, paid.card_token, paid.cashback) for paid in receipt.tenders],
        # Marks of before, of receipts that say nothing of it, stay valid.
        *(() if receipt.points_granted is None else (receipt.points_granted,)),
    )  # fmt: skip
    return blake2b(_encode(said), digest_size=8).digest()


of_movement = Fingerprint(Movement, "document_id")
of_promotion = Fingerprint(Announcement, "promotion_id", "revision", "announced_ms")
