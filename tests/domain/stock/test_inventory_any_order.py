"""Whatever comes in whatever order, the stock rules take it: a line they failed on would stop the job for
good."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tillstream.domain.promotions.promotion import Promotion, PromotionLine
from tillstream.domain.stock.actions import Request
from tillstream.domain.stock.inventory import (
    InventoryRules,
    on_line,
    on_promotion,
    on_request,
)
from tillstream.domain.stock.ledger import Line, Stock
from tillstream.domain.stock.network import Near, Neighbours
from tillstream.domain.stock.order_wake import on_wake
from tillstream.state_schemas.keyed import stock as codec

NOON, DAY_MS = 1_764_072_000_000, 86_400_000
STORE, MILK = 45, "2000000000411"
RULES = InventoryRules()
NEAR = Neighbours((Near(9010, 40), Near(9007, 900)), (Near(34, 12),))
KINDS = ["sale", "refund", "void", "delivery", "write_off", "transfer_in", "transfer_out", "count",
         "plan", "correction"]  # fmt: skip
times = st.integers(NOON - 40 * DAY_MS, NOON + 40 * DAY_MS) | st.integers(NOON, NOON + 90_000)
orders = st.sampled_from([f"{STORE}-{MILK}-000001", f"{STORE}-{MILK}-000002", "unknown"])
lines = st.builds(
    Line, st.sampled_from(KINDS), st.uuids().map(str), st.just(STORE), st.just(MILK),
    st.integers(-9_999, 9_999), times, st.none() | orders,
)  # fmt: skip
requests = st.builds(
    Request, request_id=st.uuids().map(str),
    ask=st.sampled_from(["order", "query", "refusal", "retry"]), to=st.just(STORE),
    asked_by=st.sampled_from([STORE, 34]), product=st.just(MILK), order_id=orders,
    quantity=st.integers(0, 9_999), event_time_ms=times, emergency=st.booleans(),
    km=st.integers(0, 3_000), centres=st.sampled_from([(), ((9007, 900),)]),
)  # fmt: skip
promotions = st.builds(
    PromotionLine, st.just(STORE), st.just(MILK), times,
    st.builds(Promotion, st.sampled_from(["a", "b"]), st.integers(1, 5), times, times,
              st.integers(0, 900)),
)  # fmt: skip


def taken(stock: Stock | None, event: object) -> Stock | None:
    """The stock after ``event``, through its codec as after each batch of the job."""
    if isinstance(event, Line):
        after, entry, _ = on_line(stock, event, NEAR, RULES)
    elif isinstance(event, Request):
        after, entry, _ = on_request(stock, event, NEAR, RULES)
    elif isinstance(event, PromotionLine):
        after, entry, _ = on_promotion(stock, event, NEAR, RULES)
    else:
        assert isinstance(event, int)
        if stock is not None:
            on_wake(stock, STORE, MILK, event, RULES.planning)
        return stock
    assert (after is None) == (entry is None)
    return stock if after is None else codec.decode(codec.encode(after))


@settings(max_examples=300)
@given(st.lists(lines | requests | promotions | times, max_size=12))
def test_any_order_of_events_is_taken_and_versions_only_grow(events):
    stock: Stock | None = None
    for event in events:
        before = stock.version if stock is not None else 0
        stock = taken(stock, event)
        assert (stock.version if stock is not None else 0) >= before
