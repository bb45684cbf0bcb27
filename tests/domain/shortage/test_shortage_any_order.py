"""Whatever comes in whatever order, the shortage rules take it: a record they failed on would stop the job
for good."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.shelf_shop import BREAD, MONDAY, RULES
from tillstream.domain.demand.model import DAY_MS
from tillstream.domain.promotions.promotion import Promotion
from tillstream.domain.shortage.shelves import StoreWatch
from tillstream.domain.shortage.store import (
    Basket,
    Level,
    apply_basket,
    apply_level,
    apply_promotion,
    missed,
)
from tillstream.state_schemas.keyed import store_watch

MILK = "2000000000404"
START = MONDAY * DAY_MS
# Days apart, and within a minute of each other; a till's clock may be far off either way.
times = st.integers(START - 40 * DAY_MS, START + 40 * DAY_MS) | st.integers(START, START + 90_000)
products = st.sampled_from([BREAD, MILK])
baskets = st.builds(
    Basket,
    region=st.sampled_from(["gauteng", "grocer"]),
    at_ms=times,
    arrived_ms=times,
    lines=st.lists(st.tuples(products, st.integers(1, 9_999)), max_size=3).map(tuple),
    mark=st.binary(min_size=4, max_size=4),
    sign=st.sampled_from([1, 1, -1]),
)
levels = st.builds(
    Level, products, st.integers(-50, 5_000), st.integers(1, 99), times, times, st.booleans()
)
promotions = st.builds(
    Promotion, st.sampled_from(["a", "b"]), st.integers(1, 5), times, times, st.integers(0, 900)
)


def taken(store: StoreWatch | None, event: object) -> StoreWatch | None:
    """The store after ``event``, through its codec as after each batch of the job."""
    if isinstance(event, Basket):
        after, lines = apply_basket(45, store, event, RULES)
    elif isinstance(event, Level):
        after, lines = apply_level(45, store, event, RULES)
    elif isinstance(event, Promotion):
        after, lines = apply_promotion(store, [BREAD], event, RULES), []
    else:
        assert isinstance(event, int)
        after, lines = store, missed(45, store, event, RULES) if store is not None else []
    assert all(line.version >= 1 for line in lines)
    kept = after or store
    return None if kept is None else store_watch.decode(store_watch.encode(kept))


A_VOID = Basket("gauteng", START, START, ((BREAD, 2),), b"void", -1)


@settings(max_examples=300)
@given(st.lists(baskets | levels | promotions | times, max_size=12))
@example([A_VOID])
@example([A_VOID, Basket("gauteng", START + DAY_MS, START, ((BREAD, 1),), b"sale", 1), START])
def test_any_order_of_events_is_taken(events):
    store: StoreWatch | None = None
    for event in events:
        store = taken(store, event)


def test_a_store_may_begin_with_a_void():
    store, lines = apply_basket(45, None, A_VOID, RULES)
    assert store is not None
    assert (sum(store.traffic.hours), lines) == (0, [])
