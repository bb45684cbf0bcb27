"""A store's shelves are decoded when looked at; the rest of a state's promises is in test_frozen.py."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.domain.shortage.shelves import ShortageRules
from tillstream.domain.shortage.store import Basket, apply_basket
from tillstream.state_schemas.keyed import shortage_area, store_watch
from tillstream.state_schemas.keyed.freeze import golden
from tillstream.state_schemas.keyed.store_watch.samples import BREAD, NOON_MS, ROLLS, V2
from tillstream.state_schemas.keyed.versioned import UnknownVersion

SHORT = golden(store_watch.CODEC, 2, "a-shelf-runs-out-under-a-promotion")


@pytest.mark.parametrize("name", V2)
def test_shelves_decoded_late_are_those_decoded_at_once(name):
    data = golden(store_watch.CODEC, 2, name).read_bytes()
    late, at_once = store_watch.decode(data), store_watch.CODEC.decode(data)
    late.shelves = {product: late.shelves[product] for product in late.shelves}
    assert late == at_once
    assert store_watch.encode(store_watch.decode(data)) == data


@pytest.mark.parametrize("schema", [store_watch, shortage_area])
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_not_guessed(schema, data):
    with contextlib.suppress(ValueError):
        schema.decode(data)


@pytest.mark.parametrize("schema", [store_watch, shortage_area])
def test_a_later_version_says_which_release_to_use(schema):
    with pytest.raises(UnknownVersion, match="restore with the release that wrote it"):
        schema.decode(bytes([schema.CURRENT + 1]) + b"whatever")


def test_shelves_that_nobody_looked_at_are_written_as_they_were_read():
    rules = ShortageRules().at("Africa/Nairobi")
    basket = Basket("gauteng", NOON_MS + 1_000, NOON_MS + 1_000, ((BREAD, 2),), b"mark")
    watch = store_watch.decode(SHORT.read_bytes())
    after, _ = apply_basket(45, watch, basket, rules)
    raw = dict.__getitem__(after.shelves, ROLLS)
    again = store_watch.decode(store_watch.encode(after))
    assert bytes(dict.__getitem__(again.shelves, ROLLS)) == bytes(raw)
    assert again.shelves[BREAD].demand.hours[13] == 2
