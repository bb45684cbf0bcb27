"""A demand's bytes: what a release wrote, every later one reads."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state_schemas.demand import CURRENT, UnknownVersion, decode, encode
from state_schemas.demand.make_golden import DEMANDS, GOLDEN
from tillstream.domain.demand import Demand

whole = st.integers(0, 2**53)
real = st.floats(0, 1e9)
demands = st.builds(
    Demand,
    st.integers(-1, 2**31),
    st.lists(whole, min_size=24, max_size=24),
    st.integers(0, 2**24 - 1),
    real,
    real,
    st.integers(0, 23),
    real,
    real,
    real,
    real,
    st.binary(min_size=344, max_size=344),
)


@given(demands)
def test_a_demand_comes_back_as_it_went(demand):
    assert decode(encode(demand)) == demand


@pytest.mark.parametrize("name", sorted(DEMANDS))
def test_released_bytes_are_read_and_written_as_ever(name):
    golden = (GOLDEN / f"v{CURRENT}-{name}.bin").read_bytes()
    assert decode(golden) == DEMANDS[name]
    assert encode(DEMANDS[name]) == golden


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_not_guessed(data):
    with contextlib.suppress(ValueError):
        assert isinstance(decode(data), Demand)


def test_a_later_version_says_which_release_to_use():
    with pytest.raises(UnknownVersion, match="restore with the release that wrote it"):
        decode(bytes([CURRENT + 1]) + b"whatever")
