"""What a place answers to a request: a centre to an order, a store to a query."""

from __future__ import annotations

import msgspec

from tillstream.domain.stock.actions import (
    Action,
    Offer,
    Order,
    Request,
    Tried,
    TruckRoute,
    emergency_hours,
    nobody_has_it,
)
from tillstream.domain.stock.ledger import HOUR_MS, Stock
from tillstream.domain.stock.replenishment import PlanningRules


def allocated(request: Request, had: int, gave: int, rules: PlanningRules) -> list[Action]:
    """The centre's answer: an order for what it gives, the rest to the next centre or refused."""
    actions: list[Action] = []
    tried = (*request.tried, Tried(request.to, request.km, had, gave))
    if gave and request.why is not None:
        hours = rules.lead_hours
        if request.emergency:
            hours = emergency_hours(request.km, rules.handling_hours, rules.speed_kmh)
        due_ms = request.event_time_ms + hours * HOUR_MS
        order = Order(
            request.request_id, request.order_id, request.asked_by, request.product, request.to,
            gave, request.quantity + sum(t.gave for t in request.tried), request.emergency,
            request.event_time_ms, due_ms, tried, request.why,
        )  # fmt: skip
        actions.append(Action("orders", order.order_id, order))
        if request.emergency:
            route = TruckRoute(
                f"{request.request_id}-route", request.to, request.asked_by, request.product,
                gave, request.km, due_ms, request.order_id,
            )  # fmt: skip
            actions.append(Action("truck_routes", route.route_id, route))
    missing = request.quantity - gave
    if missing and request.centres:
        (centre, km), *others = request.centres
        onward = msgspec.structs.replace(
            request,
            request_id=f"{request.order_id}@{centre}",
            to=centre,
            km=km,
            quantity=missing,
            centres=tuple(others),
            tried=tried,
        )
        actions.append(Action("requests", onward.request_id, onward))
    elif missing:
        refusal = Request(
            request_id=f"{request.order_id}-refused",
            ask="refusal",
            to=request.asked_by,
            asked_by=request.to,
            product=request.product,
            order_id=request.order_id,
            quantity=missing,
            event_time_ms=request.event_time_ms,
            emergency=request.emergency,
            tried=tried,
        )
        actions += [
            Action("requests", refusal.request_id, refusal),
            nobody_has_it(request, missing),
        ]
    return actions


def offer(stock: Stock, request: Request) -> Action:
    """What lies above the reorder point can be spared; nothing where no reorder point is known."""
    spare = stock.level - stock.reorder_point if stock.reorder_point >= 0 else 0
    offer = Offer(
        request.request_id, request.to, request.asked_by, request.product, stock.level,
        min(max(spare, 0), request.quantity), stock.low, request.km, request.event_time_ms,
    )  # fmt: skip
    return Action("offers", offer.offer_id, offer)
