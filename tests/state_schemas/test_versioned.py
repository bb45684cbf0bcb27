"""A made-up state over three versions: any release reads what any older one wrote, and can be told to
write what the release before it reads."""

from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.state_schemas.keyed import states
from tillstream.state_schemas.keyed.versioned import (
    Codec,
    Layout,
    LayoutChanged,
    UnknownVersion,
    describe,
)


class V1(msgspec.Struct, array_like=True):
    visits: int
    name: str


class V2(msgspec.Struct, array_like=True):
    visits: int
    name: str
    seen_ms: int | None


class V3(msgspec.Struct, array_like=True):
    """Names became many."""

    visits: int
    names: list[str]
    seen_ms: int | None


class Guest(msgspec.Struct, array_like=True):
    """What the rules of today work on."""

    visits: int = 0
    names: list[str] = []
    seen_ms: int | None = None


L1 = Layout(1, V1)
L2 = Layout(2, V2, lambda v1: V2(v1.visits, v1.name, None), lambda v2: V1(v2.visits, v2.name))
L3 = Layout(
    3,
    V3,
    lambda v2: V3(v2.visits, [v2.name], v2.seen_ms),
    lambda v3: V2(v3.visits, v3.names[0] if v3.names else "", v3.seen_ms),
)
THEN = Codec("guest", V1, [L1])
BETWEEN = Codec("guest", V2, [L1, L2])
NOW = Codec("guest", Guest, [L1, L2, L3])

ints = st.integers(-(2**63), 2**63 - 1)
v1s = st.builds(V1, ints, st.text())
v2s = st.builds(V2, ints, st.text(), st.none() | ints)
guests = st.builds(Guest, ints, st.lists(st.text()), st.none() | ints)


@given(v1s)
def test_what_the_first_release_wrote_is_read_two_versions_on(state):
    assert NOW.decode(THEN.encode(state)) == Guest(state.visits, [state.name], None)


@given(v2s)
def test_the_chain_starts_at_the_version_the_bytes_say(state):
    assert NOW.decode(BETWEEN.encode(state)) == Guest(state.visits, [state.name], state.seen_ms)


@given(guests)
def test_a_release_told_to_write_the_version_before_can_be_rolled_back(state):
    assert NOW.decode(NOW.encode(state)) == state
    name = state.names[0] if state.names else ""
    assert BETWEEN.decode(NOW.writer({"guest": 2})(state)) == V2(state.visits, name, state.seen_ms)
    assert THEN.decode(NOW.writer({"guest": 1})(state)) == V1(state.visits, name)


@given(v2s)
def test_up_and_down_again_loses_nothing(state):
    up = NOW.decode(BETWEEN.encode(state))
    assert BETWEEN.decode(NOW.writer({"guest": 2})(up)) == state


@given(guests)
def test_the_release_before_refuses_what_it_cannot_know(state):
    with pytest.raises(UnknownVersion, match=r"guest state has version 3, .* reads up to 2"):
        BETWEEN.decode(NOW.encode(state))


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x04\x90", b"\x80\x04pickle"])
def test_what_is_no_known_version_is_told_apart_from_damage(data):
    with pytest.raises(UnknownVersion):
        NOW.decode(data)
    with pytest.raises(ValueError, match=r"guest v2: "):
        NOW.decode(b"\x02\x93\x01")


def test_no_other_version_is_written_than_there_is():
    assert NOW.writer({"another": 9}) is NOW.encode
    for wanted in (0, 4):
        with pytest.raises(UnknownVersion, match=f"has versions 1 to 3, not {wanted}"):
            NOW.writer({"guest": wanted})


def test_a_name_nobody_knows_in_write_versions_is_said_at_submission():
    states.check_versions({"loyalty_account": 1})
    with pytest.raises(UnknownVersion, match=r"there is no loyalty_acount; known: .*loyalty_acc"):
        states.check_versions({"loyalty_acount": 1})


def test_a_domain_changed_without_a_new_version_does_not_even_import():
    class Renamed(msgspec.Struct, array_like=True):
        visits: int
        name: str
        seen: int | None

    with pytest.raises(LayoutChanged, match=r"no longer version 2.* Add v3\.py"):
        Codec("guest", Renamed, [L1, L2])


def test_versions_have_no_gap_and_each_a_way_up_and_down():
    for layouts in ([L2], [L1, L3], [L1, Layout(2, V2)], [L1, Layout(2, V2, L2.upgrade)]):
        with pytest.raises(TypeError, match="versions count from 1"):
            Codec("guest", V2, layouts)


def test_a_layout_is_its_fields_by_place_and_type():
    assert describe(V3) == "[visits: int, names: list<str>, seen_ms: union<int, none>]"

    class Pair(NamedTuple):
        left: int
        right: bytes

    class Holder(msgspec.Struct, array_like=True):
        pairs: dict[str, Pair]
        sizes: tuple[float, bool]

    assert describe(Holder) == (
        "[pairs: dict<str, [left: int, right: bytes]>, sizes: tuple<float, bool>]"
    )

    class ByName(msgspec.Struct):
        visits: int

    with pytest.raises(TypeError, match="array_like"):
        describe(ByName)
