"""Whether two records of one transaction id are the same sale: till and server may count a number twice."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from tillstream.domain.transaction import Transaction

# What is absent or has its default counts for nothing, so a field that a later contract adds changes no
# fingerprint of a record without it. The version of the contract is not of the sale.
_FIELDS = sorted(
    (field.name, field.default)
    for field in msgspec.structs.fields(Transaction)
    if field.name not in ("schema", "transaction_id")
)
_encode = msgspec.json.Encoder(order="sorted").encode


def fingerprint(sale: Transaction) -> bytes:
    """Eight bytes of all that was sold, when, where, to whom and how it was paid, lines in their order.

    It is kept in state: what it is made of cannot change."""
    said = {name: value for name, default in _FIELDS if (value := getattr(sale, name)) != default}
    return blake2b(_encode(said), digest_size=8).digest()
