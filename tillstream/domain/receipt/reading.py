"""How a job reads the front door's stream: only the fields it needs, in a struct of its own.

Everything in a canonical transaction was checked when it was written, so nothing is checked again. What is
none of them somebody else has put into the topic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.transaction import InvalidTransaction

NOT_CANONICAL = "not_canonical"
T = TypeVar("T")


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
