"""The shortage job's bytes: what a release wrote, every later one reads."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state_schemas import shortage_area, store_watch
from state_schemas.shortage_area.make_golden import AREAS
from state_schemas.shortage_area.make_golden import GOLDEN as AREA_BYTES
from state_schemas.store_watch.make_golden import BREAD, NOON_MS, ROLLS, WATCHES
from state_schemas.store_watch.make_golden import GOLDEN as WATCH_BYTES
from tillstream.domain.shortage import Basket, ShortageRules, StoreWatch, apply_basket

STATES = [
    *(
        pytest.param(store_watch, WATCH_BYTES / f"v1-{name}.bin", watch, id=name)
        for name, watch in WATCHES.items()
    ),
    *(
        pytest.param(shortage_area, AREA_BYTES / f"v1-{name}.bin", area, id=f"area-{name}")
        for name, area in AREAS.items()
    ),
]


def whole(state):
    """With every shelf decoded."""
    if isinstance(state, StoreWatch):
        state.shelves = {product: state.shelves[product] for product in state.shelves}
    return state


@pytest.mark.parametrize(("schema", "path", "state"), STATES)
def test_released_bytes_are_read_and_written_as_ever(schema, path, state):
    golden = path.read_bytes()
    assert whole(schema.decode(golden)) == state
    assert schema.encode(state) == golden
    assert schema.encode(schema.decode(golden)) == golden


@pytest.mark.parametrize("schema", [store_watch, shortage_area])
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_not_guessed(schema, data):
    with contextlib.suppress(ValueError):
        schema.decode(data)


@pytest.mark.parametrize("schema", [store_watch, shortage_area])
def test_a_later_version_says_which_release_to_use(schema):
    with pytest.raises(schema.UnknownVersion, match="restore with the release that wrote it"):
        schema.decode(bytes([schema.CURRENT + 1]) + b"whatever")


def test_shelves_that_nobody_looked_at_are_written_as_they_were_read():
    (path,) = WATCH_BYTES.glob("v1-a-shelf*")
    rules = ShortageRules()
    basket = Basket("gauteng", NOON_MS + 1_000, NOON_MS + 1_000, ((BREAD, 2),), b"mark")
    watch = store_watch.decode(path.read_bytes())
    after, _ = apply_basket(45, watch, basket, rules)
    raw = dict.__getitem__(after.shelves, ROLLS)
    again = store_watch.decode(store_watch.encode(after))
    assert bytes(dict.__getitem__(again.shelves, ROLLS)) == bytes(raw)
    assert again.shelves[BREAD].demand.hours[12] == 2
