"""What a till sent, as it is kept beside what the front door made of it."""

from __future__ import annotations

import msgspec

from tillstream.domain.card_numbers import mask_card_numbers
from tillstream.domain.dead_letter import id_of
from tillstream.domain.envelope import Envelope
from tillstream.domain.receipt.contract import RetailTransaction

_NO_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_FEWEST_DIGITS = 13  # of a card number


class RawRecord(msgspec.Struct, gc=False, frozen=True):
    """The columns of state_schemas/tables/raw_record.py; ``raw`` is base64 in JSON."""

    record_id: str
    origin: str
    arrived_ms: int
    transaction_id: str | None
    raw: bytes


_encode = msgspec.json.Encoder().encode


def raw_record(envelope: Envelope, transaction_id: str | None, free_text: bool) -> bytes:
    """As JSON bytes. ``free_text``: whether some of it passed no contract, or a contract that takes any text;
    looking for card numbers there takes longer than all else that is done to a record."""
    raw = mask_card_numbers(envelope.raw) if free_text else envelope.raw
    record_id = id_of(envelope.origin, raw)
    return _encode(RawRecord(record_id, envelope.origin, envelope.arrived_ms, transaction_id, raw))


def has_free_text(sent: RetailTransaction) -> bool:
    """Whether a field that takes any text has so many digits that they may be a card number. All other fields
    are typed."""
    texts = [sent.fiscal_id or ""]
    for line in sent.lines:
        texts += (line.description or "", line.lot or "")
        if line.scheme in ("name", "sku"):
            texts.append(line.code)
        texts += [tax.code for tax in line.taxes]
    texts += [tax.code for tax in sent.taxes]
    digits = "".join(texts).encode("utf-8", "surrogatepass").translate(None, _NO_DIGITS)
    return len(digits) >= _FEWEST_DIGITS
