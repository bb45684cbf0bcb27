"""The account's bytes: what a release wrote, every later one reads."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.domain.loyalty.ledger import Account, Pending, Posting
from tillstream.state_schemas.keyed.loyalty_account import (
    CODEC,
    CURRENT,
    decode,
    encode,
)
from tillstream.state_schemas.keyed.versioned import UnknownVersion

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


@given(accounts)
def test_the_rules_account_has_the_bytes_of_the_newest_layout(account):
    frozen = CODEC.decode_frozen(encode(account))
    assert type(frozen) is CODEC.layouts[-1].shape
    assert CODEC.encode_as(CURRENT, frozen) == encode(account)


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda body: b"\x01" + body))
def test_arbitrary_bytes_are_refused_not_guessed(data):
    with contextlib.suppress(ValueError):
        assert isinstance(decode(data), Account)


@given(accounts, st.integers(0, 200), st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_an_account_but_never_a_crash(account, place, flip):
    data = bytearray(encode(account))
    data[place % len(data)] ^= flip
    with contextlib.suppress(ValueError):
        assert isinstance(decode(bytes(data)), Account)


def test_a_later_version_says_which_release_to_use():
    with pytest.raises(UnknownVersion, match="restore with the release that wrote it"):
        decode(bytes([CURRENT + 1]) + b"whatever")
