"""What goes from one stage of the fraud job to the next: a line with the next key, then a record.

Nothing here outlives a job: it is between two stages, never in a savepoint.
"""

from __future__ import annotations

import msgspec

from tillstream.domain.fraud import CounterFacts, Label
from tillstream.domain.transaction import Transaction

TRANSACTION, LABEL = b"t", b"l"


class Passing(msgspec.Struct, array_like=True, gc=False):
    """A transaction on its way to the judge, with what was counted of it so far.

    arrived_ms: when the broker took it. till, card: None where not counted.
    """

    transaction: Transaction
    arrived_ms: int
    till: CounterFacts | None = None
    card: CounterFacts | None = None


_encode = msgspec.msgpack.Encoder().encode
_passing = msgspec.msgpack.Decoder(Passing).decode
_label = msgspec.msgpack.Decoder(Label).decode


def to_next(key: str, record: Passing | Label) -> bytes:
    """``record`` for the stage keyed by ``key``."""
    tag = TRANSACTION if type(record) is Passing else LABEL
    return b"%b\n%b%b" % (key.encode(), tag, _encode(record))


def from_last(value: bytes) -> Passing | Label:
    """The record that `to_next` made, without the line of its key."""
    body = memoryview(value)[1:]
    return _passing(body) if value[:1] == TRANSACTION else _label(body)
