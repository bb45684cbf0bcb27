"""The stock's bytes: what a release wrote, every later one reads."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.domain.demand.model import Demand
from tillstream.domain.promotions.promotion import Promotion
from tillstream.domain.stock.ledger import OpenOrder, Stock
from tillstream.domain.stock.recent_lines import Recent
from tillstream.state_schemas.keyed.stock import CURRENT, decode, encode
from tillstream.state_schemas.keyed.versioned import UnknownVersion

whole = st.integers(-(2**53), 2**53)
names = st.text(max_size=20)
flags = st.booleans()
number = st.floats(allow_nan=False)
stocks = st.builds(
    Stock,
    *(whole, whole, whole, names, whole),
    st.builds(Recent, whole, whole, st.binary(max_size=64), whole),
    *(flags, flags, whole, whole, whole, whole, whole, whole, whole, whole, whole),
    st.builds(
        Demand,
        *(whole, st.lists(whole, max_size=24), whole, number, number, whole),
        *(number, number, number, number, st.binary(max_size=64)),
    ),
    st.lists(st.builds(OpenOrder, names, whole, whole), max_size=3),
    st.lists(st.builds(Promotion, names, whole, whole, whole, whole), max_size=3),
)


@given(stocks)
def test_a_stock_comes_back_as_it_went(stock):
    assert decode(encode(stock)) == stock


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_not_guessed(data):
    with contextlib.suppress(ValueError):
        assert isinstance(decode(data), Stock)


def test_a_later_version_says_which_release_to_use():
    with pytest.raises(UnknownVersion, match="restore with the release that wrote it"):
        decode(bytes([CURRENT + 1]) + b"whatever")
