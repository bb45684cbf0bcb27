"""Points that a till asks for before it takes money: set aside for one sale, so no other till can spend them.

A hold is known by the transaction id of the sale that is to come. The sale takes it, a release or the time
frees it. Time is by arrival at the broker, so a till's clock frees nobody's points. No timer is needed: a
hold whose time is over does not count. It stays a while, for what arrived in time may be read late.

The contract of a request is state_schemas/events/points_request/v1.json; this is the same contract as code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from tillstream.domain.documents import Ms, StoreNumber, decode, refuse
from tillstream.domain.receipt.contract import Currency, CustomerId, Id

GRACE_MS = 86_400_000
Till = Annotated[str, Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,39}\Z")]
Points = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Hold(Struct, array_like=True, gc=False):
    """The answer to the newest request about one sale. ``reason``: why nothing is held, "" where ``points``
    are, until ``until_ms``. balance, available: as they were told."""

    request_id: str
    asked_ms: int
    points: int
    until_ms: int
    reason: str = ""
    balance: int = 0
    available: int = 0


class PointsRequest(Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """``transaction_id``: of the sale to come. points and currency are for a hold."""

    schema: Literal[1]
    request_id: Id
    kind: Literal["hold", "release"]
    customer_id: CustomerId
    transaction_id: Id
    store: StoreNumber
    till: Till
    event_time_ms: Ms
    points: Points | None = None
    currency: Currency | None = None


class PointsAnswer(Struct, frozen=True, gc=False):
    """To the till ``to``, ``<store>/<till>``. outcome: granted, refused or released. available: what is left
    of the balance beside all holds, this one too. until_ms: till when the points are held, by the
    broker's clock; 0 where none are."""

    answer_id: str
    to: str
    request_id: str
    customer_id: str
    transaction_id: str
    outcome: str
    reason: str | None
    points: int
    balance: int
    available: int
    until_ms: int


def parse_request(raw: bytes) -> PointsRequest:
    """The request in ``raw`` (UTF-8 JSON). Raises InvalidTransaction, and nothing else."""
    found = decode(raw, PointsRequest)
    for name, value in (("points", found.points), ("currency", found.currency)):
        if found.kind == "hold" and value is None:
            raise refuse("missing_field", f"$.{name} is required for a hold")
        if found.kind == "release" and value is not None:
            raise refuse("not_allowed", f"$.{name} is for a hold")
    return found


def held(holds: Mapping[str, Hold], arrived_ms: int, but: str = "") -> int:
    """Points set aside at that time for all sales, ``but`` for one."""
    return sum(
        hold.points for name, hold in holds.items() if name != but and arrived_ms <= hold.until_ms
    )


def promised(hold: Hold | None, arrived_ms: int) -> int:
    """Points that a sale which arrived then may redeem, whatever the balance."""
    return hold.points if hold is not None and arrived_ms <= hold.until_ms else 0


def drop_ended(holds: dict[str, Hold], arrived_ms: int, most: int) -> None:
    """Those that are over for good; where there is no room for one more, those that are over."""
    ended_ms = arrived_ms if len(holds) >= most else arrived_ms - GRACE_MS
    for name in [name for name, hold in holds.items() if hold.until_ms < ended_ms]:
        del holds[name]


def answer(request: PointsRequest, hold: Hold) -> PointsAnswer:
    granted = not hold.reason
    released = hold.reason == "released"
    return PointsAnswer(
        f"{request.request_id}:{request.kind}",
        f"{request.store}/{request.till}",
        request.request_id,
        request.customer_id,
        request.transaction_id,
        "granted" if granted else "released" if released else "refused",
        None if granted or released else hold.reason,
        hold.points,
        hold.balance,
        hold.available,
        hold.until_ms if granted else 0,
    )
