"""The one builder of till transactions, as documents, as bytes and as what the rules are given."""

from __future__ import annotations

import json
from typing import Any

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
    """As the rules are given it; whatever its contract says."""
    lines = tuple(Line(**one) for one in document["lines"])
    return Transaction(**document | {"lines": lines})
