"""The account's bytes: what a release wrote, every later one reads."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state_schemas.loyalty_account import CURRENT, UnknownVersion, decode, encode
from state_schemas.loyalty_account.make_golden import ACCOUNTS, GOLDEN
from tillstream.domain.loyalty import Account, Pending, Posting

whole = st.integers(-(2**53), 2**53)
names = st.text(max_size=20)
postings = st.dictionaries(names, st.builds(Posting, whole, whole, whole, whole, whole, whole))
claims = st.builds(Pending, names, whole, names, st.none() | whole, whole, whole, names)
accounts = st.builds(
    Account,
    whole,
    whole,
    whole,
    whole,
    whole,
    postings,
    st.dictionaries(names, st.lists(claims, max_size=3), max_size=3),
)


@given(accounts)
def test_an_account_comes_back_as_it_went(account):
    assert decode(encode(account)) == account


@pytest.mark.parametrize("name", sorted(ACCOUNTS))
def test_released_bytes_are_read_and_written_as_ever(name):
    golden = (GOLDEN / f"v{CURRENT}-{name}.bin").read_bytes()
    assert decode(golden) == ACCOUNTS[name]
    assert encode(ACCOUNTS[name]) == golden


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_not_guessed(data):
    with contextlib.suppress(ValueError):
        assert isinstance(decode(data), Account)


def test_a_later_version_says_which_release_to_use():
    with pytest.raises(UnknownVersion, match="restore with the release that wrote it"):
        decode(bytes([CURRENT + 1]) + b"whatever")
