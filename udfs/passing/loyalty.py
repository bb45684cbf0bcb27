"""What goes into the points ledger's stage: a transaction as the front door wrote it, enveloped; a
record of another topic, enveloped, whose origin names it; or what the stages before it made of these.

Of Households.java: ``member:``, a JSON array of the household's account and of the customer, a newline, and
what came; ``move:``, the adjustment that moves points into a household or out of it, a newline, and the event
that asked for it, enveloped; ``refused:``, the reason as JSON, a newline, and the event.

Of ReceiptOwners.java: ``claim:``, a JSON array of the receipt of which something came back and of its owner,
an account, a newline, and the transaction that takes it back, enveloped; ``elsewhere:`` and a JSON array of a
receipt, the account that it came to although it counts in another, and when it was sold (ms UTC).

Nothing here outlives a job: it is between two stages, never in a savepoint.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.receipt.reading import opened

# No origin begins so.
CLAIM = b"claim:"
MEMBER = b"member:"
MOVE = b"move:"
REFUSED = b"refused:"
ELSEWHERE = b"elsewhere:"
_pair = msgspec.json.Decoder(tuple[str, str])
_text = msgspec.json.Decoder(str)
_elsewhere = msgspec.json.Decoder(tuple[str, str, int])


class Claim(NamedTuple):
    """``transaction`` takes something back of the receipt ``of``, which was ``owner``'s. owner "": too many
    claims to look for it."""

    of: str
    owner: str
    transaction: Envelope


class Elsewhere(NamedTuple):
    receipt: str
    account: str
    sold_ms: int


def claim(value: bytes) -> Claim:
    """Of a value that begins with CLAIM."""
    head, _, transaction = value[len(CLAIM) :].partition(b"\n")
    return Claim(*_pair.decode(head), opened(transaction))


def member(value: bytes) -> tuple[str, str, bytes]:
    """The account, the customer and what came, of a value that begins with MEMBER."""
    head, _, rest = value[len(MEMBER) :].partition(b"\n")
    return *_pair.decode(head), rest


def move(value: bytes) -> tuple[bytes, Envelope]:
    """The adjustment and the event, of a value that begins with MOVE."""
    head, _, rest = value[len(MOVE) :].partition(b"\n")
    return head, unseal(rest)


def refused(value: bytes) -> tuple[str, Envelope]:
    """The reason and the event, of a value that begins with REFUSED."""
    head, _, rest = value[len(REFUSED) :].partition(b"\n")
    return _text.decode(head), unseal(rest)


def elsewhere(value: bytes) -> Elsewhere:
    """Of a value that begins with ELSEWHERE."""
    return Elsewhere(*_elsewhere.decode(value[len(ELSEWHERE) :]))
