"""The stock's bytes: what a release wrote, every later one reads."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state_schemas.stock import CURRENT, UnknownVersion, decode, encode
from state_schemas.stock.make_golden import GOLDEN, STOCKS
from tillstream.domain.promotion import Promotion
from tillstream.domain.recent_lines import Recent
from tillstream.domain.stock import Demand, OpenOrder, Stock

whole = st.integers(-(2**53), 2**53)
names = st.text(max_size=20)
flags = st.booleans()
stocks = st.builds(
    Stock,
    *(whole, whole, whole, names, whole),
    st.builds(Recent, whole, whole, st.binary(max_size=64), whole),
    *(flags, flags, whole, whole, whole, whole, whole, whole, whole, whole),
    st.builds(Demand, whole, whole, flags, whole, whole, whole),
    st.lists(st.builds(OpenOrder, names, whole, whole), max_size=3),
    st.lists(st.builds(Promotion, names, whole, whole, whole, whole), max_size=3),
)


@given(stocks)
def test_a_stock_comes_back_as_it_went(stock):
    assert decode(encode(stock)) == stock


@pytest.mark.parametrize("name", sorted(STOCKS))
def test_released_bytes_are_read_and_written_as_ever(name):
    golden = (GOLDEN / f"v{CURRENT}-{name}.bin").read_bytes()
    assert decode(golden) == STOCKS[name]
    assert encode(STOCKS[name]) == golden


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_not_guessed(data):
    with contextlib.suppress(ValueError):
        assert isinstance(decode(data), Stock)


def test_a_later_version_says_which_release_to_use():
    with pytest.raises(UnknownVersion, match="restore with the release that wrote it"):
        decode(bytes([CURRENT + 1]) + b"whatever")
