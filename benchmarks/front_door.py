"""What the front door makes of contract v1, outside of any job: to fill topics with."""

from __future__ import annotations

from functools import cache

import msgspec

from tillstream import conf as settings
from tillstream import reference
from tillstream.domain.receipt.front_door import KnownStores, of_v1, partition_of
from tillstream.domain.transaction import Transaction, parse

WAY_MS = 50  # from a till to the broker

_encode = msgspec.json.Encoder().encode


@cache
def places() -> KnownStores:
    return reference.known_stores(settings.load("local"))


def canonical(sale: Transaction) -> tuple[str, bytes]:
    """(key, record) as the job `intake` writes it of a sale that came right after it was made."""
    receipt = of_v1(sale, places().of(str(sale.store)))
    key = partition_of(receipt)
    of_raw = {"key": key, "arrived_ms": sale.event_time_ms + WAY_MS, "origin": "kafka:tills/0/0"}
    return key, _encode(msgspec.structs.replace(receipt, **of_raw))


def checked(raw: bytes) -> tuple[str, bytes]:
    """The same of a till's bytes. Raises InvalidTransaction."""
    return canonical(parse(raw))
