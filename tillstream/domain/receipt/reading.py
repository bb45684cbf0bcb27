"""How a job reads the front door's stream: only the fields it needs, in a struct of its own.

Everything in a canonical transaction was checked when it was written, so nothing is checked again. What is
none of them somebody else has put into the topic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.transaction import InvalidTransaction

NOT_CANONICAL = "not_canonical"
# Anybody may have written into the topic. These limits cost nothing where they are checked, here, and
# whatever lies beyond them would stop a sink or a rule further on.
_MOST = 2**53 - 1
Amount = Annotated[int, Meta(ge=-_MOST, le=_MOST)]  # minor units, thousandths
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]  # of a store; points
EventMs = Annotated[int, Meta(ge=1_420_070_400_000, lt=4_133_980_800_000)]  # 2015 to 2100
MOST_LINES = 1_000
ArrivalMs = Annotated[int, Meta(ge=0, lt=4_133_980_800_000)]
T = TypeVar("T")


def arrival(envelope: Envelope, arrived_ms: int) -> int:
    """When what the till sent arrived, ms UTC: as the front door says, but never after it wrote that."""
    return min(envelope.arrived_ms, arrived_ms)


def stock_units(thousandths: int, unit: str) -> int:
    """What stock counts of a line: pieces of what is sold by the piece, else thousandths of its unit. A part
    of a piece is none."""
    if unit != "each":
        return thousandths
    return thousandths // 1000 if thousandths >= 0 else -(-thousandths // 1000)


def opened(value: bytes) -> Envelope:
    """A record of the front door's stream; it is of our own making, so its fields are typed."""
    found = unseal(value)
    return Envelope(found.origin, found.arrived_ms, found.raw, typed=True)


def reader(view: type[T]) -> Callable[[bytes], T]:
    """Decodes canonical JSON to ``view``, whose fields are some of those of `canonical.Receipt`. The decoder
    raises InvalidTransaction, and nothing else, for what is none."""
    decode = msgspec.json.Decoder(view).decode

    def read(raw: bytes) -> T:
        try:
            return decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise InvalidTransaction(
                NOT_CANONICAL, "$ is not a transaction as the front door writes them"
            ) from None

    return read
