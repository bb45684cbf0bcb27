"""What a till sent, as it is kept beside what the front door made of it."""

from __future__ import annotations

from unicodedata import normalize

import msgspec

from tillstream.domain.dead_letter import id_of
from tillstream.domain.envelope import Envelope
from tillstream.domain.personal.personal_data import mask_personal_data
from tillstream.domain.receipt.contract import RetailTransaction

_DIGITS = "0123456789"
_FEWEST_DIGITS = 13  # of a card number
_MOST_GTIN = 14


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
    raw = mask_personal_data(envelope.raw) if free_text else envelope.raw
    record_id = id_of(envelope.origin, raw)
    return _encode(RawRecord(record_id, envelope.origin, envelope.arrived_ms, transaction_id, raw))


def has_free_text(sent: RetailTransaction) -> bool:
    """Whether a field that takes any text may hold personal data: so many digits that they may be a card
    number, signs of an address or a telephone number, digits of another script. All others are typed."""
    texts = [sent.fiscal_id or "", sent.source or ""]
    for line in sent.lines:
        texts += (line.description or "", line.lot or "", line.category or "", line.override or "")
        if line.back:
            texts.append(line.back.reason or "")
        if len(line.code) > _MOST_GTIN or line.scheme in ("name", "sku"):
            texts.append(line.code)
        texts += [tax.code for tax in line.taxes]
    texts += [tax.code for tax in sent.taxes]
    text = "".join(texts)
    if not text.isascii():
        text = normalize("NFKC", text)
    if "@" in text or "+" in text or "%" in text or "&" in text or "\\" in text:
        return True
    return sum(map(text.count, _DIGITS)) >= _FEWEST_DIGITS or any(
        one.isdecimal() for one in text if not one.isascii()
    )
