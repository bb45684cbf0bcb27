"""What goes into the stock ledger's stage: a byte that names the kind, then the record.

- ``L``, a line that moves stock, of StockLines.java and `StockDocuments`: `Line` as a JSON array
- ``D``, of a document, of `StockDocuments`: `Request` or `PromotionLine` as JSON, which names its type
- ``T``, a transaction of which StockLines.java did not take all: enveloped, as it came

Nothing here outlives a job: it is between two stages, never in a savepoint.
"""

from __future__ import annotations

import msgspec

from tillstream.domain.envelope import Envelope
from tillstream.domain.promotions.promotion import PromotionLine
from tillstream.domain.receipt.reading import opened
from tillstream.domain.stock.actions import Action, Request
from tillstream.domain.stock.ledger import Line

LINE, DOCUMENT, TRANSACTION = b"L", b"D", b"T"
Passing = Line | Request | PromotionLine | Envelope

_encode = msgspec.json.Encoder().encode
_READERS = {
    ord(LINE): msgspec.json.Decoder(Line).decode,
    ord(DOCUMENT): msgspec.json.Decoder(Request | PromotionLine).decode,
    ord(TRANSACTION): opened,
}


def routed(action: Action) -> bytes:
    """``<route>|<key>\\n<json>``, as the job's routed sink takes it."""
    return f"{action.route}|{action.key}\n".encode() + _encode(action.body)


def to_ledger(record: Line | Request | PromotionLine) -> bytes:
    return (LINE if isinstance(record, Line) else DOCUMENT) + _encode(record)


def read(value: bytes) -> Passing:
    """An Envelope is a transaction that was not taken, or not all of it. Raises KeyError for another kind."""
    return _READERS[value[0]](value[1:])


def sent(value: bytes) -> Envelope | bytes:
    """A transaction as its source sent it; of our own records the record alone, its place is not known.
    Raises ValueError for another kind."""
    kind, record = value[:1], value[1:]
    if kind == TRANSACTION:
        return opened(record)
    if kind not in (LINE, DOCUMENT):
        raise ValueError(f"no kind of record: {kind!r}")
    return record
