"""Both ends of a transfer, compared by reference and product.

A transfer is two documents that name one reference, in any order. When both ends agree nothing is said. A
while after the first end came they are compared as they are: what one end sent and the other did not
receive, or received and was not sent, is told to both places and to the supply team.
"""

from __future__ import annotations

import msgspec

from tillstream.domain.notice import notice
from tillstream.domain.stock.actions import Action
from tillstream.domain.stock.ledger import HOUR_MS, Line

MOST_PRODUCTS = 4_000  # of a reference; the rest of one that is longer is not compared
NAMED = 20  # products of a transfer that are told, those that miss most
BEHIND_MS = (
    600_000  # a timer so late says that the job was away, and has yet to read what came meanwhile
)


class TransferEnd(msgspec.Struct, gc=False, frozen=True):
    """One document of a transfer: ``out`` or in, at which place, when it came, and its pieces by product, in
    the units of its lines."""

    reference: str
    out: bool
    store: int
    event_time_ms: int
    arrived_ms: int
    pieces: dict[str, int]


class Carried(msgspec.Struct, array_like=True, gc=False):
    """What of a product was sent and received; told: the same as they were told last, -1 for never."""

    sent: int = 0
    received: int = 0
    told_sent: int = -1
    told_received: int = -1


class Transfer(msgspec.Struct, array_like=True):
    """A reference that is not settled. sender, receiver: 0 while unknown. at_ms: event time of its newest
    document. due_ms: when it is to be compared, so that a timer of before it was settled and its
    reference used again is known. An empty one is settled."""

    sender: int = 0
    receiver: int = 0
    at_ms: int = 0
    due_ms: int = 0
    products: dict[str, Carried] = {}


class TransferRules(msgspec.Struct, frozen=True, gc=False):
    """wait_hours: from the first end to the comparison; again_hours: how long a job that is behind, as after
    an outage or in a replay, waits for what has come meanwhile; keep_hours: a reference that was never
    settled and is named so much later is of another transfer."""

    wait_hours: int = 48
    again_hours: int = 6
    keep_hours: int = 30 * 24


def end_of(reference: str, kind: str, lines: list[Line], arrived_ms: int) -> TransferEnd:
    """``lines``: of one document, which share place and time."""
    pieces: dict[str, int] = {}
    for line in lines:
        pieces[line.product] = pieces.get(line.product, 0) + abs(line.quantity)
    first = lines[0]
    return TransferEnd(
        reference, kind == "transfer_out", first.store, first.event_time_ms, arrived_ms, pieces
    )


def on_end(
    state: Transfer | None, end: TransferEnd, now_ms: int, rules: TransferRules
) -> tuple[Transfer, int | None]:
    """(the transfer after it; when to compare). Each document comes here once."""
    state = state or Transfer()
    wake_at = None
    if end.event_time_ms - state.at_ms > rules.keep_hours * HOUR_MS:
        state = Transfer()
    if not state.products:
        # In a replay its wait is long over, but the other end is yet to be read.
        due_ms = end.arrived_ms + rules.wait_hours * HOUR_MS
        wake_at = max(due_ms, now_ms + rules.again_hours * HOUR_MS)
        state = Transfer(due_ms=wake_at)
    elif any(carried.told_sent >= 0 for carried in state.products.values()):
        # Told already: the rest of it may follow.
        state.due_ms = wake_at = now_ms + rules.again_hours * HOUR_MS
    if end.out:
        state.sender = end.store
    else:
        state.receiver = end.store
    state.at_ms = max(state.at_ms, end.event_time_ms)
    for product, pieces in end.pieces.items():
        carried = state.products.get(product)
        if carried is None:
            if len(state.products) >= MOST_PRODUCTS:
                continue
            carried = state.products[product] = Carried()
        if end.out:
            carried.sent += pieces
        else:
            carried.received += pieces
    if all(carried.sent == carried.received for carried in state.products.values()):
        return Transfer(), None
    return state, wake_at


def on_due(
    state: Transfer, reference: str, due_ms: int, now_ms: int, rules: TransferRules
) -> tuple[Transfer | None, list[Action], int | None]:
    """Compares; (the transfer, if it changed; what is told; when to look again, if it was too early)."""
    if not state.products or due_ms < state.due_ms:
        return None, [], None
    if now_ms - due_ms > BEHIND_MS:
        state.due_ms = now_ms + rules.again_hours * HOUR_MS
        return state, [], state.due_ms
    differ = [
        (product, carried)
        for product, carried in state.products.items()
        if carried.sent != carried.received
    ]
    news = [
        (product, carried)
        for product, carried in differ
        if (carried.sent, carried.received) != (carried.told_sent, carried.told_received)
    ]
    news.sort(key=lambda one: (-abs(one[1].sent - one[1].received), one[0]))
    actions = []
    for product, carried in news[:NAMED]:
        actions += _told(state, reference, product, carried, len(differ))
    for _, carried in news:
        carried.told_sent, carried.told_received = carried.sent, carried.received
    return state, actions, None


def _told(
    state: Transfer, reference: str, product: str, carried: Carried, products: int
) -> list[Action]:
    # Ids by what is told: in a replay the same difference is the same notice.
    cause = f"{reference}-{product}-{carried.sent}-{carried.received}"
    params: dict[str, str | int] = {
        "reference": reference,
        "product": product,
        "sent": carried.sent,
        "received": carried.received,
        "missing": carried.sent - carried.received,
        "products_that_differ": products,
    }
    if state.sender:
        params["sender"] = state.sender
    if state.receiver:
        params["receiver"] = state.receiver
    places = dict.fromkeys(place for place in (state.sender, state.receiver) if place)
    recipients = [*(f"store:{place}" for place in places), "team:supply"]
    return [
        Action("notices", to, notice("alert", to, "transfer_differs", cause, state.at_ms, params))
        for to in recipients
    ]
