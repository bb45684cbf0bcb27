"""A file of contract v1 or v2 as the front door reads it, for `intake try`: no mapping is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson

from tillstream.domain import transaction
from tillstream.domain.mapping.mapper import Mapped, Stores
from tillstream.domain.mapping.own import same
from tillstream.domain.pieces import pieces, unpacked
from tillstream.domain.receipt import parse as contract
from tillstream.domain.receipt.canonical import Receipt
from tillstream.domain.receipt.contract import ReceiptLine, RetailTransaction, Tender
from tillstream.domain.receipt.front_door import StorePlace, of_v1
from tillstream.domain.transaction import InvalidTransaction, Transaction

SAYS = (b'"schema"', b'"transaction_id"')  # as OurContracts.java


class OurContracts:
    """Stands where a `Mapper` does."""

    name = "contracts v1 and v2"
    checks_total = True

    def transactions(
        self, raw: bytes, stores: Stores, context: Mapping[str, str], traced: bool = False
    ) -> Iterator[Mapped]:
        """What each piece of a record becomes. ``context``: contracts take nothing from beside the bytes."""
        for piece in pieces(raw):
            try:
                receipt, problem = _read(piece), None
                if stores(receipt.store) is None:
                    message = "$.store is not in the table of stores (reference.stores, its column ids too)"
                    raise InvalidTransaction("unknown_store", message)
            except InvalidTransaction as error:
                receipt, problem = None, error
            yield Mapped(receipt, same(piece), None, problem, _draft(piece) if problem else {})

    def is_empty(self, raw: bytes) -> bool:
        return False

    def why_unknown(self, raw: bytes) -> str:
        return "nothing"


def is_ours(raw: bytes) -> bool:
    """Whether the front door reads it by a contract, right or wrong: it says its schema and an id."""
    plain = unpacked(raw)
    return all(name in plain for name in SAYS)


def may_be_ours(raw: bytes) -> bool:
    """Of what no mapping knows: whether it is JSON that says one of the two, or no object at all."""
    plain = unpacked(raw)
    if any(name in plain for name in SAYS):
        return True
    try:
        found = orjson.loads(plain)
    except orjson.JSONDecodeError:
        return False
    return not isinstance(found, dict) and not any(
        isinstance(one, dict) for one in (found if isinstance(found, list) else ())
    )


def canonical_v1(
    raw: bytes, place: StorePlace, kinds: Mapping[str, str]
) -> tuple[Transaction, Receipt] | None:
    """A checked record of contract v1 as it was sent, and its canonical form; None of another one."""
    if contract.is_v2(raw):
        return None
    sent = transaction.parse(raw)
    return sent, of_v1(sent, place, kinds)


def _read(raw: bytes) -> RetailTransaction:
    """Raises InvalidTransaction."""
    if contract.is_v2(raw):
        return contract.parse(raw)
    return _as_v2(transaction.parse(raw))


def _as_v2(sent: Transaction) -> RetailTransaction:
    """To be shown, no more: its refunds have positive amounts."""
    way = -1 if sent.kind == "refund" else 1
    return RetailTransaction(
        schema=2,
        transaction_id=sent.transaction_id,
        kind="void" if sent.kind == "void" else "retail",
        store=str(sent.store),
        till=str(sent.till),
        ended_at=_moment(sent.event_time_ms),
        currency=sent.currency,
        total=way * sent.total_cents,
        lines=tuple(
            ReceiptLine(
                number=n,
                kind="sale" if way > 0 else "return",
                amount=way * line.quantity * line.unit_price_cents,
                scheme="sku",
                code=line.product,
            )
            for n, line in enumerate(sent.lines, start=1)
        ),
        tenders=(Tender(kind=sent.payment_method, amount=way * sent.total_cents),),
    )


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _draft(raw: bytes) -> dict[str, Any]:
    """What a refused record says, with amounts by the names of contract v2; fields of another type are left
    out."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(found, dict):
        return {}
    draft: dict[str, Any] = found
    if not contract.is_v2(raw):
        with suppress(KeyError, TypeError):
            draft = found | {
                "total": found["total_cents"],
                "lines": [
                    line | {"amount": line["quantity"] * line["unit_price_cents"]}
                    for line in found["lines"]
                ],
            }
    ended = found.get("ended_at")
    draft["ended_at"] = None
    with suppress(ValueError, TypeError, OverflowError):
        draft["ended_at"] = (
            datetime.fromisoformat(ended)
            if isinstance(ended, str)
            else _moment(found["event_time_ms"])
            if "event_time_ms" in found
            else None
        )
    for name in ("lines", "tenders", "discounts", "taxes"):
        parts = draft.get(name, [])
        if not isinstance(parts, list) or not all(isinstance(one, dict) for one in parts):
            del draft[name]
    if type(draft.get("total")) is not int:
        draft.pop("total", None)
    return draft
