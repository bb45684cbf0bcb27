"""A stock movement, contract v1: a delivery, transfer, count, write-off or plan, with its lines.

The contract for readers is state_schemas/events/stock_movement/v1.json; this is the same contract as code.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Annotated, Literal

from msgspec import Meta, Struct

from tillstream.domain.documents import SHELF_PRODUCT, Id, Ms, ShelfProduct, decode, refuse
from tillstream.domain.receipt.product import same
from tillstream.domain.stock.ledger import FIRST_CENTRE, OUTBOUND, Line

LAST_STORE = 2900
LAST_CENTRE = 9099

_ORDER_ID = rf"^[0-9]{{1,4}}-{SHELF_PRODUCT}-[0-9]{{6,12}}\Z"

Reason = Literal["expired", "damaged", "stolen", "given_away", "recalled", "other"]


class MovementLine(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """Pieces of one product, or thousandths of its unit where tills sell it by weight or measure.
    ``order_id``: of the order a delivery fulfils; without it the oldest."""

    product: ShelfProduct
    quantity: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    order_id: Annotated[str, Meta(pattern=_ORDER_ID)] | None = None


class Movement(Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """What a store or centre sent. Quantities are positive; the kind says which way they go."""

    schema: Literal[1]
    document_id: Id
    kind: Literal[
        "delivery", "transfer_in", "transfer_out", "write_off", "count", "correction", "plan"
    ]
    store: Annotated[int, Meta(ge=1, le=LAST_CENTRE)]
    event_time_ms: Ms
    lines: Annotated[tuple[MovementLine, ...], Meta(min_length=1, max_length=1000)]
    reference: Annotated[str, Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z:./-]{0,63}\Z")] | None = None
    reason: Reason | None = None


MAY_BE_NONE = frozenset({"count", "correction", "plan"})


def parse(raw: bytes, bundles: Set[str] = frozenset()) -> Movement:
    """The movement in ``raw`` (UTF-8 JSON). ``bundles``: what has no shelf, as shelves know products. Raises
    InvalidTransaction, and nothing else."""
    found = decode(raw, Movement)
    if LAST_STORE < found.store < FIRST_CENTRE:
        raise refuse("out_of_range", "$.store is 1 to 2900, or a centre, 9001 to 9099")
    if (found.reason is not None) != (found.kind == "write_off"):
        raise refuse("not_allowed", "$.reason is for a write_off, which must have one")
    if found.kind.startswith("transfer") and found.reference is None:
        raise refuse("missing_field", "$.reference is required for a transfer: both ends name it")
    for n, line in enumerate(found.lines):
        if not line.quantity and found.kind not in MAY_BE_NONE:
            raise refuse("out_of_range", f"$.lines[{n}].quantity must be at least 1")
        if bundles and same(line.product) in bundles:
            what = f"$.lines[{n}].product is a bundle (reference.bundles), which has no shelf"
            raise refuse("not_allowed", f"{what}: name its products")
        if line.order_id is not None and found.kind != "delivery":
            raise refuse("not_allowed", f"$.lines[{n}].order_id is for a delivery")
    return found


def lines(movement: Movement) -> list[Line]:
    """One line for each product, ids ``M:<document_id>/<n>`` with n from 1."""
    sign = -1 if movement.kind in OUTBOUND else 1
    return [
        Line(
            movement.kind,
            f"M:{movement.document_id}/{n}",
            movement.store,
            same(line.product),
            sign * line.quantity,
            movement.event_time_ms,
            line.order_id,
        )
        for n, line in enumerate(movement.lines, start=1)
    ]
