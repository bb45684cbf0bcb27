"""The key of a record: what it is partitioned and kept in order by."""

from __future__ import annotations

import hashlib
import json

KEY_CHARACTERS = 256  # Kinesis takes no longer one


def key_of(raw: bytes, default: str) -> str:
    """The customer, else the transaction's id, of a transaction of contract v1 or v2; ``default`` of
    whatever else it is. A key too long for Kinesis is its digest."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return default
    if not isinstance(found, dict):
        return default
    said = found.get("loyalty")
    customer = said.get("customer") if isinstance(said, dict) else found.get("customer_id")
    for key in (customer, found.get("transaction_id")):
        if isinstance(key, str) and key:
            return _fit(key)
    return default


def _fit(key: str) -> str:
    sent = key.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
    return sent if len(sent) <= KEY_CHARACTERS else hashlib.sha256(sent.encode()).hexdigest()
