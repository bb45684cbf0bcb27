"""The one builder of till transactions, as documents, as bytes and as what the rules are given."""

from __future__ import annotations

import json
from collections.abc import Set
from typing import Any

import msgspec

from tillstream.domain.loyalty import parts
from tillstream.domain.receipt.canonical import Receipt
from tillstream.domain.receipt.front_door import StorePlace, of_v1, partition_of
from tillstream.domain.transaction import Line, Transaction

T0 = 1_764_000_000_000  # 2025-11-24 16:00 UTC, 18:00 in South Africa
PRODUCT = "6001234567890"
# What makes a sale one by card at another till, as the tests of fraud have it.
CARD: dict[str, Any] = {
    "store": 23,
    "till": 4,
    "customer_id": "C0000012345",
    "card_token": "tok_a1b2c3d4e5f6g7h8",
    "payment_method": "card",
    "category": "groceries",
}


def line(product: str, quantity: int, unit_price_cents: int, category: str) -> dict[str, Any]:
    return {
        "product": product,
        "quantity": quantity,
        "unit_price_cents": unit_price_cents,
        "category": category,
    }


def sale(
    transaction_id: str = "0045-03-20251124-000001",
    event_time_ms: int = T0,
    cents: int = 1_000,
    **changes: Any,
) -> dict[str, Any]:
    """A cash sale of one line at store 45, till 3, as a till sends it.

    ``changes``: its fields, None leaves one out; or ``product``, ``pieces``, ``category`` of its line.
    The total is that of the lines, unless given.
    """
    pieces = changes.pop("pieces", 1)
    product, category = changes.pop("product", PRODUCT), changes.pop("category", "bakery")
    lines = changes.pop("lines", None) or [line(product, pieces, cents // pieces, category)]
    made: dict[str, Any] = {
        "schema": 1,
        "transaction_id": transaction_id,
        "store": 45,
        "region": "western-cape",
        "till": 3,
        "customer_id": "C0000000001",
        "payment_method": "cash",
        "event_time_ms": event_time_ms,
        "currency": "ZAR",
        "lines": lines,
        "total_cents": sum(one["quantity"] * one["unit_price_cents"] for one in lines),
        "kind": "sale",
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def refund(transaction_id: str, of: str, **changes: Any) -> dict[str, Any]:
    """Money back for lines of the sale ``of``."""
    return sale(transaction_id, **{"kind": "refund", "refers_to": of} | changes)


def void(transaction_id: str, of: str, **changes: Any) -> dict[str, Any]:
    """The whole sale ``of`` undone."""
    return sale(transaction_id, **{"kind": "void", "refers_to": of} | changes)


def encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def parsed(document: dict[str, Any]) -> Transaction:
    """As its contract has it; whatever that says."""
    lines = tuple(Line(**one) for one in document["lines"])
    return Transaction(**document | {"lines": lines})


def checked(
    document: dict[str, Any], arrived_ms: int | None = None, origin: str = "kafka:tills/0/7"
) -> Receipt:
    """As the front door writes it. ``arrived_ms``: its own time, unless given."""
    place = StorePlace(0, "Africa/Johannesburg", "ZAR", "ZA", "")
    receipt = of_v1(parsed(document), place)
    at_ms = receipt.ended_ms if arrived_ms is None else arrived_ms
    return msgspec.structs.replace(
        receipt, key=partition_of(receipt), arrived_ms=at_ms, origin=origin
    )


def parts_of(document: dict[str, Any], earn_nothing: Set[str] = frozenset()) -> list[parts.Part]:
    """As the rules of loyalty are given it."""
    return list(parts.parts(parts.read(canonical(document)), earn_nothing))


def part(document: dict[str, Any]) -> parts.Part:
    """The same of what is one part."""
    (only,) = parts_of(document)
    return only


def canonical(document: dict[str, Any], **of: Any) -> bytes:
    """The bytes of ``checked``."""
    return msgspec.json.encode(checked(document, **of))
