"""What goes from one stage of the fraud job to the next: a line with the next key, then a record.

A record is a byte that names its kind, then what the kind has:

- ``l``: a `Label` in msgpack
- ``k``, to the judge: an enveloped record of the topic of replies, whose origin begins so
- ``s``, to the card's stage: rest of the head, judge's key, newline, facts of the till, canonical JSON
- ``s``, to the judge: rest of the head, what the card's stage says of a refund, the card's habit and facts,
  facts of the till, canonical JSON

The head is `SaleHead`, kind included, 36 bytes big-endian. Facts are a byte with their length, 0 where
nothing was counted, then `CounterFacts` in msgpack; so is a habit. So the card's stage copies all but the
head without reading it. Nothing here outlives a job: it is between two stages, never in a savepoint.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple, TypeVar

import msgspec

from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.fraud.card import RefundFacts
from tillstream.domain.fraud.counters import CounterFacts, Habit
from tillstream.domain.fraud.decision import Label
from tillstream.domain.fraud.sale import Sale, made_of, read_receipt
from tillstream.domain.fraud.signals import Facts

T = TypeVar("T")
SALE, LABEL, REPLY = ord("s"), ord("l"), ord("k")
_NO_FACTS = b"\0"


class SaleHead(NamedTuple):
    """counted: whether its card counts it, so paid by card and no refund or void. refund: whether money goes
    to the card, or it is a void, which may undo such. number: the hash of its id. cents: the total, of a
    refund what goes to the card, in the grocer's currency, -1 where no rate is known. arrived_ms: of the raw
    record. there: whether it was at the store. `_HEAD` has the fields' sizes, in the same order."""

    kind: int
    counted: bool
    refund: bool
    number: int
    event_time_ms: int
    cents: int
    arrived_ms: int
    store: int
    there: bool

    @property
    def money(self) -> int | None:
        return self.cents if self.cents >= 0 else None


_HEAD = Struct(">B??Iqqqi?")
_unpack, _sale_head = _HEAD.unpack_from, SaleHead._make


class Passing(msgspec.Struct, frozen=True, gc=False):
    """A sale as the judge sees it. raw: its canonical JSON. facts: None where not counted."""

    sale: Sale
    raw: bytes
    facts: Facts


_encode = msgspec.msgpack.Encoder().encode
_label = msgspec.msgpack.Decoder(Label).decode
_facts = msgspec.msgpack.Decoder(CounterFacts).decode
_habit = msgspec.msgpack.Decoder(Habit).decode
_refund = msgspec.msgpack.Decoder(RefundFacts).decode


def sale_to_card(
    judge_key: str,
    sale: Sale,
    number: int,
    money: int | None,
    till: CounterFacts | None,
    raw: bytes,
) -> bytes:
    """A sale for the stage keyed by card, or of no card; ``judge_key`` is the key of the stage after
    it, ``number`` the hash of its id, ``money`` its total in the grocer's currency, if that can be told."""
    token = sale.card_token
    counted = token is not None and sale.kind == "sale"
    refund = sale.to_card > 0 or sale.kind == "void"
    head = _HEAD.pack(
        SALE, counted, refund, number, sale.event_time_ms, -1 if money is None else money,
        sale.arrived_ms, sale.store,
        sale.there,
    )  # fmt: skip
    judge = judge_key.encode()
    key = judge if token is None else token.encode()
    return b"%b\n%b%b\n%b%b" % (key, head, judge, _packed(till), raw)


def label_to_next(key: str, label: Label) -> bytes:
    """A label for the stage keyed by ``key``."""
    return b"%b\n%c%b" % (key.encode(), LABEL, _encode(label))


def read_at_card(value: bytes) -> Label | SaleHead:
    """What `sale_to_card` or `label_to_next` made, without the line of its key."""
    return _label_from(value) if value[0] == LABEL else _sale_head(_unpack(value))


def read_at_judge(value: bytes) -> Label | Passing | Envelope:
    """What `sale_to_judge` or `label_to_next` made, without the line of its key; or a reply as it came."""
    if value[0] == REPLY:
        return unseal(value)
    if value[0] == LABEL:
        return _label_from(value)
    head = _sale_head(_unpack(value))
    refund, at = _unpacked(value, _HEAD.size, _refund)
    habit, at = _unpacked(value, at, _habit)
    card, at = _unpacked(value, at, _facts)
    till, at = _unpacked(value, at, _facts)
    raw = value[at:]
    return Passing(
        made_of(read_receipt(raw), head.arrived_ms), raw, Facts(card, till, habit, refund)
    )


def sale_to_judge(
    value: bytes,
    card: CounterFacts | None,
    habit: Habit | None = None,
    refund: RefundFacts | None = None,
) -> bytes:
    """The sale that `sale_to_card` made, with what the card's stage counted, for the judge."""
    end = value.index(b"\n", _HEAD.size)
    return b"%b\n%b%b%b%b%b" % (
        value[_HEAD.size : end], value[: _HEAD.size], _packed(refund), _packed(habit), _packed(card),
        value[end + 1 :],
    )  # fmt: skip


def raw_at_card(value: bytes) -> bytes:
    """The canonical JSON in what `sale_to_card` made, without the line of its key."""
    at = value.index(b"\n", _HEAD.size) + 1
    return value[at + 1 + value[at] :]


def _label_from(value: bytes) -> Label:
    return _label(memoryview(value)[1:])


def _packed(facts: CounterFacts | Habit | RefundFacts | None) -> bytes:
    if facts is None:
        return _NO_FACTS
    packed = _encode(facts)  # an array of 20 numbers at most, each of at most 9 bytes
    return b"%c%b" % (len(packed), packed)


def _unpacked(value: bytes, at: int, read: Callable[[bytes], T]) -> tuple[T | None, int]:
    """The facts at ``at``, and where they end."""
    end = at + 1 + value[at]
    return (read(value[at + 1 : end]) if value[at] else None), end
