"""What goes into the points ledger's stage: a transaction as the front door wrote it, enveloped; a
record of another topic, enveloped, whose origin names it; or a claim
of ReceiptOwners.java, which is ``claim:``, a JSON array of the receipt of which something came back and of
its owner, a newline, and the transaction that takes it back, enveloped.

Nothing here outlives a job: it is between two stages, never in a savepoint.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from tillstream.domain.envelope import Envelope
from tillstream.domain.receipt.reading import opened

CLAIM = b"claim:"  # no origin begins so
_head = msgspec.json.Decoder(tuple[str, str])


class Claim(NamedTuple):
    """``transaction`` takes something back of the receipt ``of``, which was ``owner``'s. owner "": too many
    claims to look for it."""

    of: str
    owner: str
    transaction: Envelope


def claim(value: bytes) -> Claim:
    """Of a value that begins with CLAIM."""
    head, _, transaction = value[len(CLAIM) :].partition(b"\n")
    return Claim(*_head.decode(head), opened(transaction))


def sent(value: bytes) -> Envelope:
    """The transaction as its source sent it."""
    return claim(value).transaction if value.startswith(CLAIM) else opened(value)
