"""The many ways a record can be broken: each takes a good record and gives bytes that are not one."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import orjson

Record = dict[str, Any]


def card_number(rng: Random) -> str:
    """Sixteen digits that pass the Luhn check. Made here: none may stand in a file."""
    digits = [4] + [rng.randrange(10) for _ in range(14)]
    doubled = sum(d * 2 - 9 * (d > 4) for d in digits[0::2])
    return "".join(map(str, digits)) + str(-(doubled + sum(digits[1::2])) % 10)


def _with(record: Record, **changes: Any) -> bytes:
    return orjson.dumps({**record, **changes})


def _without(record: Record, name: str) -> bytes:
    return orjson.dumps({k: v for k, v in record.items() if k != name})


def _not_utf8(record: Record, rng: Random) -> bytes:
    return orjson.dumps(record).replace(b'"currency":"', b'"currency":"\xe9', 1)


def _truncated(record: Record, rng: Random) -> bytes:
    raw = orjson.dumps(record)
    return raw[: 1 + rng.randrange(len(raw) - 1)]


KINDS: dict[str, Callable[[Record, Random], bytes]] = {
    "truncated": _truncated,
    "empty": lambda record, rng: b"",
    "not_json": lambda record, rng: b"TILL " + record["transaction_id"].encode() + b" PAPER JAM",
    "invalid_utf8": _not_utf8,
    "array": lambda record, rng: orjson.dumps(list(record)),
    "unknown_version": lambda record, rng: _with(record, schema=2 + rng.randrange(8)),
    "missing_field": lambda record, rng: _without(
        record, ("transaction_id", "store", "total_cents", "lines", "kind")[rng.randrange(5)]
    ),
    "unknown_field": lambda record, rng: _with(record, cashier=rng.randrange(1000)),
    "wrong_type": lambda record, rng: _with(record, store=str(record["store"])),
    "out_of_range": lambda record, rng: _with(record, till=100 + rng.randrange(900)),
    "time_in_seconds": lambda record, rng: _with(
        record, event_time_ms=record["event_time_ms"] // 1000
    ),
    "total_mismatch": lambda record, rng: _with(
        record, total_cents=record["total_cents"] + 1 + rng.randrange(500)
    ),
    "card_number": lambda record, rng: _with(
        record, payment_method="card", card_token=card_number(rng)
    ),
    "card_number_field": lambda record, rng: _with(record, card_number=card_number(rng)),
}
NAMES = list(KINDS)


def damage(record: Record, rng: Random) -> tuple[str, bytes]:
    """The kind of damage, by turns of ``rng``, and the damaged bytes."""
    kind = NAMES[rng.randrange(len(NAMES))]
    return kind, KINDS[kind](record, rng)
