"""The contract of household events, and what takes a sale back that came to a second account."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.loyalty.test_loyalty import RULES, txn
from tests.support import ROOT
from tests.support.contracts import accepted_by_code, changed, judge_example, validator
from tests.support.sales import T0
from tillstream.domain.loyalty.households import parse_household, posted_elsewhere
from tillstream.domain.loyalty.ledger import apply

CONTRACT = ROOT / "state_schemas/events/household"
EXAMPLES = sorted(CONTRACT.glob("examples/*/*.json"))
SCHEMA = validator(CONTRACT / "v1.json")
ODD: Any = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 5), st.sampled_from(["all", "none", "leave", "join", ""]),
    st.text(max_size=6), st.just(350), st.just("household:H1"), st.floats(),
    st.lists(st.integers(), max_size=1),
)  # fmt: skip


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_of_the_contract_is_judged_by_schema_and_code_alike(path):
    judge_example(path, parse_household, SCHEMA.is_valid)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([p for p in EXAMPLES if p.parent.name == "valid"]), st.data())
def test_schema_and_code_agree_about_damaged_events(path, data):
    document = changed(path, SCHEMA, ODD, data)
    assert accepted_by_code(parse_household, document) == SCHEMA.is_valid(document), json.dumps(
        document
    )


@pytest.mark.parametrize("order", ["se", "es"])
def test_a_sale_that_came_to_a_second_account_has_no_effect_there(order):
    """R1,000 earn 100 points and 40 are redeemed; both go, whichever comes first."""
    account, _ = apply(None, txn("before", 100_000), RULES, T0)
    sold = txn("sale-2", 100_000, redeem=40)
    for what in order:
        part = sold if what == "s" else posted_elsewhere("sale-2", "household:H1", T0)
        after, _ = apply(account, part, RULES, T0)
        account = after or account
    assert account is not None
    assert account.balance == 100
