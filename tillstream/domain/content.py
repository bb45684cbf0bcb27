"""Whether two records of one id say the same: till and server may count a number twice, a document or a
promotion's revision may be sent again with other content."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Generic, TypeVar

import msgspec

from tillstream.domain.promotions.promotion import Announcement
from tillstream.domain.receipt.canonical import Receipt
from tillstream.domain.receipt.contract import RetailTransaction
from tillstream.domain.stock.movement import Movement
from tillstream.domain.transaction import Transaction

T = TypeVar("T", bound=msgspec.Struct)
Line = tuple[int, int, str, str]  # amount, thousandths, receipt that it was on, lot
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


def of_receipt(receipt: Receipt, sent: RetailTransaction | Transaction) -> bytes:
    """Of what the till said in ``sent``. What the grocer's tables and rules made of it in ``receipt`` (number
    of the store, region, business day, kinds and categories of goods, scales' codes taken apart) may be
    another a day later, when it comes again."""
    if isinstance(sent, Transaction):
        return _of(receipt, sent.store)
    by_weight = [item for item in receipt.lines if item.unit == "kg"]
    return _of(receipt, _named(sent.store), _rung(receipt, sent) if by_weight else ())


def as_before(receipt: Receipt) -> bytes:
    """The same as earlier releases have it in their marks: with the store's number of the table, and weights
    of scales' codes. Of most receipts it is no other."""
    return _of(receipt, receipt.store)


def _of(receipt: Receipt, store: int | str, lines: Sequence[Line] = ()) -> bytes:
    said = (
        receipt.kind, store, receipt.till, receipt.ended_ms, receipt.currency, receipt.total,
        receipt.customer, receipt.points_asked, receipt.voids, receipt.cashier, receipt.sequence,
        lines or [(line.amount, line.thousandths, line.of, line.lot) for line in receipt.lines],
        [(paid.kind, paid.amount, paid.card_token, paid.cashback) for paid in receipt.tenders],
        # Marks of before, of receipts that say nothing of it, stay valid.
        *(() if receipt.points_granted is None else (receipt.points_granted,)),
    )  # fmt: skip
    return blake2b(_encode(said), digest_size=8).digest()


def _named(store: str) -> int | str:
    """A number, with or without zeros before it, is the store's own in almost every table."""
    return int(store) if store.isascii() and store.isdigit() and len(store) < 19 else store


def _rung(receipt: Receipt, sent: RetailTransaction) -> list[Line]:
    """Lines with the quantities that were sent: a scale's code makes a weight of one piece."""
    rung = []
    lines = (line for line in sent.lines if not line.voided)
    for item, line in zip(receipt.lines, lines, strict=True):
        thousandths = item.thousandths
        if item.unit != line.unit:
            thousandths = 1000 if thousandths > 0 else -1000
        rung.append((item.amount, thousandths, item.of, item.lot))
    return rung


of_movement = Fingerprint(Movement, "document_id")
of_promotion = Fingerprint(Announcement, "promotion_id", "revision", "announced_ms")
