"""Points that a till is promised before it takes money."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.loyalty.test_loyalty import RULES, txn
from tests.support import ROOT
from tests.support.contracts import accepted_by_code, changed, judge_example, validator
from tests.support.sales import T0
from tillstream.domain.loyalty.holds import PointsAnswer, PointsRequest, parse_request
from tillstream.domain.loyalty.ledger import (
    Account,
    LoyaltyRules,
    Refused,
    Terms,
    apply,
)
from tillstream.domain.loyalty.parts import Part
from tillstream.domain.loyalty.requests import on_request

MINUTE_MS = 60_000
CONTRACT = ROOT / "state_schemas/events/points_request"
EXAMPLES = sorted(CONTRACT.glob("examples/*/*.json"))


def ask(
    sale: str, points: int | None = None, at: int = 0, till: str = "3", **changes: Any
) -> PointsRequest:
    """A hold of ``points``, without them a release."""
    return PointsRequest(
        schema=1, request_id=f"{sale}-{till}-{at}", kind="hold" if points else "release",
        customer_id="C0000000001", transaction_id=sale, store=45, till=till, event_time_ms=T0 + at,
        points=points, currency="ZAR" if points else None, **changes,
    )  # fmt: skip


class Shop:
    """One customer's account, and what came of each event, at minutes after T0."""

    def __init__(self, rules: LoyaltyRules = RULES, points: int = 500):
        self.rules = rules
        self.account: Account | None = None
        self.deltas: list[int] = []
        if points:
            self.buy(txn("first-001", points * 1_000))

    def ask(self, request: PointsRequest, minute: float = 0) -> PointsAnswer:
        after, told = on_request(self.account, request, self.rules, T0 + int(minute * MINUTE_MS))
        self.account = after or self.account
        return told

    def buy(self, part: Part, minute: float = 0) -> Any:
        after, made = apply(self.account, part, self.rules, T0 + int(minute * MINUTE_MS))
        assert not isinstance(made, Refused)
        self.account = after or self.account
        self.deltas += [entry.delta for entry in made]
        return made[0] if made else None

    @property
    def balance(self) -> int:
        return self.account.balance if self.account else 0


def outcome(told: PointsAnswer) -> tuple[str, str | None, int, int]:
    return told.outcome, told.reason, told.points, told.available


def test_two_tills_cannot_spend_the_same_points():
    shop = Shop()
    first, second = ask("sale-001", 400), ask("sale-002", 400, till="7")
    assert outcome(shop.ask(first)) == ("granted", None, 400, 100)
    told = shop.ask(second)
    assert outcome(told) == ("refused", "insufficient_balance", 0, 100)
    assert (told.to, told.balance, told.until_ms) == ("45/7", 500, 0)
    entry = shop.buy(txn("sale-002", 10_000, redeem=400))
    assert (entry.outcome, entry.reason) == ("redemption_refused", "insufficient_balance")
    assert shop.buy(txn("sale-001", 10_000, redeem=400)).outcome == "posted"
    assert shop.balance == 500 + 10 - 400 + 6


def test_the_sale_gets_what_its_till_was_promised_though_the_balance_fell_and_it_is_below_zero():
    shop = Shop()
    shop.ask(ask("sale-001", 500))
    shop.buy(txn("void-001", 0, "void", "first-001"))
    assert shop.balance == 0
    entry = shop.buy(txn("sale-001", 5_000, redeem=500), minute=10)
    assert (entry.outcome, entry.redeemed, entry.balance) == ("posted", 500, -500)
    assert outcome(shop.ask(ask("sale-002", 1)))[:2] == ("refused", "insufficient_balance")


def test_after_ten_minutes_or_a_release_the_points_are_free():
    shop = Shop()
    told = shop.ask(ask("sale-001", 400))
    assert told.until_ms == T0 + 10 * MINUTE_MS
    assert shop.ask(ask("sale-002", 400, till="7"), 10).outcome == "refused"
    assert shop.ask(ask("sale-002", 400, till="7", at=1), 10.1).outcome == "granted"
    assert shop.ask(ask("sale-002", till="7", at=2), 10.2).outcome == "released"
    assert shop.ask(ask("sale-003", 500), 10.3).outcome == "granted"


def test_a_sale_after_its_time_is_judged_like_any():
    shop = Shop()
    shop.ask(ask("sale-001", 400))
    shop.buy(txn("void-001", 0, "void", "first-001"))
    assert shop.buy(txn("sale-001", 5_000, redeem=400), 11).outcome == "redemption_refused"


def test_the_same_request_again_has_the_same_answer_and_a_late_older_one_changes_nothing():
    shop = Shop()
    first, more = ask("sale-001", 400), ask("sale-001", 450, at=5)
    told = shop.ask(first)
    assert shop.ask(first, 1) == told
    assert shop.ask(more, 1).points == 450
    assert shop.ask(first, 2).points == 450
    refused = ask("sale-002", 100)
    answers = [shop.ask(refused, 2)]
    shop.buy(txn("later-001", 900_000), 3)
    answers.append(shop.ask(refused, 3))
    assert answers[0] == answers[1]
    assert answers[0].outcome == "refused"
    assert shop.ask(ask("sale-001", at=9), 3).outcome == "released"
    assert shop.ask(more, 3).outcome == "released"


def test_a_hold_of_a_sale_that_was_made_is_refused():
    shop = Shop()
    shop.ask(ask("sale-001", 400))
    shop.buy(txn("sale-001", 10_000, redeem=400))
    assert outcome(shop.ask(ask("sale-001", 5, at=3)))[:2] == ("refused", "already_sold")
    assert not shop.account.holds


def test_who_has_no_account_and_what_has_no_terms_is_refused():
    shop = Shop(points=0)
    assert outcome(shop.ask(ask("sale-001", 1)))[:2] == ("refused", "insufficient_balance")
    assert shop.account is None
    rules = LoyaltyRules({"ZAR": Terms(), "AOA": Terms(50_000, 0)})
    rich = Shop(rules)
    for currency in ("AOA", "XOF"):
        fields = msgspec.structs.asdict(ask(f"sale-{currency}", 5)) | {"currency": currency}
        request = PointsRequest(**fields)
        assert outcome(rich.ask(request))[:2] == ("refused", "no_terms")


def test_sixteen_sales_at_once_are_the_most_until_one_is_over():
    shop = Shop()
    for n in range(16):
        assert shop.ask(ask(f"sale-{n:03d}", 1)).outcome == "granted"
    assert outcome(shop.ask(ask("sale-016", 1)))[:2] == ("refused", "too_many_holds")
    assert shop.ask(ask("sale-015", 2, at=1)).outcome == "granted"
    assert len(shop.account.holds) == 16
    assert shop.ask(ask("sale-016", 1, at=1), 10.5).outcome == "granted"
    assert len(shop.account.holds) <= 16


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("hrs"), st.integers(0, 3), st.integers(0, 300), st.integers(0, 15)
        ),
        max_size=25,
    )
)
def test_what_is_promised_is_never_more_than_there_was_and_the_entries_add_up(events):
    shop = Shop()
    minute = 0.0
    for n, (what, sale, points, wait) in enumerate(events):
        minute += wait
        if what == "s":
            shop.buy(txn(f"sale-{sale:03d}", 50_000, redeem=points), minute)
        else:
            shop.ask(
                ask(f"sale-{sale:03d}", points if what == "h" and points else None, at=n), minute
            )
        # Nothing was returned, so no promise is worth more than the balance.
        assert shop.balance == sum(shop.deltas) >= 0
        now = T0 + int(minute * MINUTE_MS)
        live = [hold.points for hold in shop.account.holds.values() if now <= hold.until_ms]
        assert sum(live) <= shop.balance
        assert len(shop.account.holds) <= 16


# -- the contract ----------------------------------------------------------------------------------

SCHEMA = validator(CONTRACT / "v1.json")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_judged_as_its_name_says(path):
    judge_example(path, parse_request, SCHEMA.is_valid)


ODD = st.sampled_from(
    [0, 1, 1.0, -1, 45, 3000, 2**40, True, None, "", "x", "hold", "release", "ZAR", "zar", "a b",
     {}, [], 1_764_072_000_000]
)  # fmt: skip
VALID = [path for path in EXAMPLES if path.parts[-2] == "valid"]


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(VALID), st.data())
def test_code_and_schema_judge_any_change_alike(path, data):
    document = changed(path, SCHEMA, ODD, data)
    assert accepted_by_code(parse_request, document) == SCHEMA.is_valid(document), document


def test_a_till_whose_clock_was_set_back_can_ask_again_once_the_time_is_over():
    shop = Shop()
    assert shop.ask(ask("sale-001", 400, at=60_000)).outcome == "granted"
    assert shop.ask(ask("sale-001", 20, at=0), 1).points == 400  # an older one has the same answer
    again = shop.ask(ask("sale-001", 20, at=1), 90)
    assert (again.outcome, again.points) == ("granted", 20)
    assert again.until_ms > T0 + 90 * MINUTE_MS
