"""What goes from one stage of the fraud job to the next: a line with the next key, then a record.

Nothing here outlives a job: it is between two stages, never in a savepoint. The card's stage needs only
five numbers of a sale; they stand in front, so that it copies the rest without reading it.
"""

from __future__ import annotations

from struct import Struct

import msgspec

from tillstream.domain.fraud import CounterFacts, Facts, Label
from tillstream.domain.transaction import Transaction

SALE, LABEL = ord("s"), ord("l")
# tag, whether the card counts it, hash of its id, event time, cents, the broker's time
_HEAD = Struct(">BBIqqq")
_COUNTED, _ARRIVED = Struct(">2xIqq"), Struct(">22xq")  # parts of it
# what a counter says: a byte for its length, 0 where nothing was counted
_NO_FACTS = b"\0"


class Passing(msgspec.Struct, frozen=True, gc=False):
    """A sale as the judge sees it. raw: the till's JSON. facts: None where not counted."""

    transaction: Transaction
    arrived_ms: int
    raw: bytes
    facts: Facts


_encode = msgspec.msgpack.Encoder().encode
_transaction = msgspec.json.Decoder(Transaction).decode
_label = msgspec.msgpack.Decoder(Label).decode
_facts = msgspec.msgpack.Decoder(CounterFacts).decode


def sale_to_card(
    judge_key: str, sale: Transaction, number: int, arrived_ms: int, till: CounterFacts | None,
    raw: bytes,
) -> bytes:  # fmt: skip
    """A sale for the stage keyed by card, or of no card; ``judge_key`` is the key of the stage after
    it, ``number`` the hash of its id."""
    token = sale.card_token
    counted = token is not None and sale.kind == "sale"
    head = _HEAD.pack(SALE, counted, number, sale.event_time_ms, sale.total_cents, arrived_ms)
    judge = judge_key.encode()
    key = judge if token is None else token.encode()
    return b"%b\n%b%b\n%b%b" % (key, head, judge, _packed(till), raw)


def label_to_next(key: str, label: Label) -> bytes:
    """A label for the stage keyed by ``key``."""
    return b"%b\nl%b" % (key.encode(), _encode(label))


def is_label(value: bytes) -> bool:
    return value[0] == LABEL


def label_from(value: bytes) -> Label:
    return _label(memoryview(value)[1:])


def card_sale(value: bytes) -> tuple[int, int, int] | None:
    """Hash of the id, event time and cents of a sale that its card counts: paid by card, and no
    refund or void. None for any other."""
    return _COUNTED.unpack_from(value) if value[1] else None


def sale_to_judge(value: bytes, card: CounterFacts | None) -> bytes:
    """The sale that `sale_to_card` made, with what the card's stage counted, for the judge."""
    end = value.index(b"\n", _HEAD.size)
    return b"%b\n%b%b%b" % (
        value[_HEAD.size : end], value[: _HEAD.size], _packed(card), value[end + 1 :],
    )  # fmt: skip


def sale_from(value: bytes) -> Passing:
    """The sale that `sale_to_judge` made, without the line of its key."""
    (arrived_ms,) = _ARRIVED.unpack_from(value)
    card, at = _unpacked(value, _HEAD.size)
    till, at = _unpacked(value, at)
    raw = value[at:]
    return Passing(_transaction(raw), arrived_ms, raw, Facts(card, till))


def _packed(facts: CounterFacts | None) -> bytes:
    if facts is None:
        return _NO_FACTS
    packed = _encode(facts)  # an array of 20 numbers of at most 9 bytes
    return b"%c%b" % (len(packed), packed)


def _unpacked(value: bytes, at: int) -> tuple[CounterFacts | None, int]:
    """The facts at ``at``, and where they end."""
    end = at + 1 + value[at]
    return (_facts(value[at + 1 : end]) if value[at] else None), end
