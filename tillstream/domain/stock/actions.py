"""What low stock sets going, as messages: one id each, made of store, product and a running number."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from tillstream.domain.documents import Ms, OwnId, OwnIdOrNone, Place, ShelfProduct, decode, refuse
from tillstream.domain.notice import notice
from tillstream.domain.receipt.product import same
from tillstream.domain.stock.assortment import RangeOrder
from tillstream.domain.stock.ledger import Line, OpenOrder, Stock


class Action(NamedTuple):
    """One message: to which route (the job sends each to a topic of its own), under which key, and what
    it says."""

    route: str
    key: str
    body: Any


class Why(msgspec.Struct, gc=False, frozen=True):
    """Why this quantity: as the store saw it. ``formula`` in words; demand in thousandths a day."""

    level: int
    on_order: int
    reorder_point: int
    order_up_to: int
    plan: int
    daily_demand_milli: int
    uplift_percent: int
    days_learnt: int
    formula: str


class Tried(msgspec.Struct, gc=False, frozen=True):
    """A centre that was asked: how far it is, what it had, what it gave."""

    centre: Place
    km: Annotated[int, Meta(ge=0, le=40_000)]
    had: Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)]
    gave: Annotated[int, Meta(ge=0, le=1_000_000_000)]


class Request(
    msgspec.Struct, tag="request", gc=False, frozen=True, kw_only=True, omit_defaults=True
):
    """From one place to another about a product, by way of the topic ``stock-requests``.

    ask: ``order`` (to a centre: give ``quantity``), ``query`` (to a store: could you spare some?),
    ``refusal`` (to the store that ordered: so many pieces nobody has), ``retry`` (of a store to itself:
    ask again for what was refused). to: a store or centre.
    centres: those to ask after ``to``, as [number, km]; km: to ``to``.
    """

    request_id: OwnId
    ask: Literal["order", "query", "refusal", "retry"]
    to: Place
    asked_by: Place
    product: ShelfProduct
    order_id: OwnIdOrNone
    quantity: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    event_time_ms: Ms
    emergency: bool
    km: Annotated[int, Meta(ge=0, le=40_000)] = 0
    centres: tuple[tuple[Place, Annotated[int, Meta(ge=0, le=40_000)]], ...] = ()
    tried: tuple[Tried, ...] = ()
    why: Why | None = None


def parse_request(raw: bytes) -> Request:
    """Raises InvalidTransaction, and nothing else."""
    found = decode(raw, Request)
    if not found.order_id and found.ask in ("order", "refusal"):
        raise refuse("bad_format", "$.order_id must name the order")
    return msgspec.structs.replace(found, product=same(found.product))


def asks_itself(
    stock: Stock, store: int, product: str, why: str, at_ms: int, emergency: bool
) -> list[Action]:
    """A shelf's ``retry`` to itself: what comes of a timer changes no state, so it goes out and comes back.
    Its id ends with ``why``; what has the same id is asked once."""
    request = Request(
        request_id=f"{store}-{product}-{stock.orders:06d}-{why}",
        ask="retry",
        to=store,
        asked_by=store,
        product=product,
        order_id="",
        quantity=0,
        event_time_ms=at_ms,
        emergency=emergency,
    )
    return [Action("requests", request.request_id, request)]


class Order(msgspec.Struct, gc=False, frozen=True):
    """Pieces that a centre has set aside for a store: deliver them, naming ``order_id``.

    line_id: ``<order_id>@<centre>``. due_ms: when they should be on the shelf. tried: why this centre;
    why: why this quantity of all centres together, ``ordered``.
    """

    line_id: str
    order_id: str
    store: int
    product: str
    centre: int
    quantity: int
    ordered: int
    emergency: bool
    ordered_ms: int
    due_ms: int
    tried: tuple[Tried, ...]
    why: Why


class CentralUpdate(msgspec.Struct, gc=False, frozen=True):
    """For the central inventory: stock in a store is ``low``, or ``ok`` again."""

    update_id: str
    store: int
    product: str
    state: str
    level: int
    normal: int
    event_time_ms: int


class TruckRoute(msgspec.Struct, gc=False, frozen=True):
    """A request to put a stop first on a truck's way."""

    route_id: str
    centre: int
    store: int
    product: str
    quantity: int
    km: int
    needed_by_ms: int
    order_id: str


class Offer(msgspec.Struct, gc=False, frozen=True):
    """What a nearby store could spare, 0 for nothing; ``low``: it is short itself."""

    offer_id: str
    from_store: int
    to_store: int
    product: str
    level: int
    spare: int
    low: bool
    km: int
    event_time_ms: int


def manager_told(store: int, product: str, stock: Stock, cause: str, at_ms: int) -> Action:
    """The store's manager hears of low stock."""
    return _alert(
        f"store:{store}", "low_stock", cause, at_ms,
        product=product, level=stock.level, normal=stock.order_up_to,
    )  # fmt: skip


def miscount_told(store: int, product: str, stock: Stock, at_ms: int) -> Action:
    """The store's manager is asked to count: the books say less than nothing is there."""
    cause = f"{store}-{product}-below-{stock.belows}"
    return _alert(
        f"store:{store}", "stock_below_zero", cause, at_ms, product=product, level=stock.level
    )


def not_open_told(line: Line, order_id: str) -> Action:
    """The store hears that it has booked goods of an order that is not open: twice, or after it expired."""
    name = line.line_id.removeprefix("M:")
    return _alert(
        f"store:{line.store}", "order_not_open", f"{order_id}-{name}", line.event_time_ms,
        product=line.product, order_id=order_id, document_id=name.rpartition("/")[0],
        quantity=line.quantity,
    )  # fmt: skip


def ended_told(store: int, product: str, order: OpenOrder, by: RangeOrder) -> Action:
    """The supply team hears of goods on their way to where they are sold no more."""
    return _alert(
        "team:supply", "order_not_wanted", order.order_id, order.ordered_ms,
        store=store, product=product, order_id=order.order_id, quantity=order.quantity,
        why=by.action, range_order_id=by.assortment_id,
    )  # fmt: skip


def nobody_has_it(request: Request, missing: int) -> Action:
    """The supply team hears that no centre has what a store needs."""
    return _alert(
        "team:supply", "order_unfilled", request.order_id, request.event_time_ms,
        store=request.asked_by, product=request.product, missing=missing,
    )  # fmt: skip


def _alert(recipient: str, template: str, cause: str, at_ms: int, **params: str | int) -> Action:
    told = notice("alert", recipient, template, cause, at_ms, params)
    return Action("notices", recipient, told)


def emergency_hours(km: int, handling_hours: int, speed_kmh: int) -> int:
    """From an emergency order to the shelf, rounded up."""
    return handling_hours + -(-km // speed_kmh)
