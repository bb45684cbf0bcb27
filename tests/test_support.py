"""What tests lean on: waiting says what it saw, and what is built is a valid sale."""

from __future__ import annotations

import pytest

from tests.support.sales import encoded, parsed, refund, sale, void
from tests.support.wait import wait_for
from tillstream.domain.transaction import parse


def test_waiting_ends_with_the_first_value_that_will_do():
    values = iter([0, 1, 2, 3])
    assert wait_for(lambda: next(values), 60, "a two", (2).__eq__, every_s=0) == 2


def test_waiting_in_vain_says_for_what_and_what_was_seen_last():
    with pytest.raises(AssertionError, match=r"in vain for two events; last seen: \['one'\]"):
        wait_for(lambda: ["one"], 0, "two events", lambda seen: len(seen) == 2)


@pytest.mark.parametrize(
    "document", [sale(), refund("refund-0001", "sale-00001"), void("void-00001", "sale-00001")]
)
def test_what_the_builder_makes_keeps_the_contract(document):
    assert parse(encoded(document)) == parsed(document)
