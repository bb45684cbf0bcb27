"""What `tillstream fraud show` says follows from a hold, for points, revenue and stock."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from tests.support.sales import T0
from tillstream.clients import aws as clients
from tillstream.clients import items
from tillstream.conf import load
from tillstream.domain.fraud import actions
from tillstream.fraud import commands
from tillstream.fraud.cases import Cases, Pending, effects, source_of

CASE: dict[str, Any] = {
    "transaction_id": "0045-03-20251124-000001", "outcome": "hold", "status": "open",
    "total_cents": 123_400, "currency": "ZAR", "customer_id": "C0000000001",
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "revenue"),
    [("open", "1,234.00 ZAR held"), ("confirmed", "1,234.00 ZAR lost"), ("released", "none held")],
)
def test_revenue_is_held_then_lost_or_free(status, revenue):
    assert effects(CASE | {"status": status}, Pending(10))["revenue"] == revenue


@pytest.mark.parametrize(
    ("ordered", "status", "revenue"),
    [("release", "confirmed", "none held"), ("decline", "released", "1,234.00 ZAR lost"),
     ("release", "released", "none held"), ("decline", "confirmed", "1,234.00 ZAR lost")],
)  # fmt: skip
def test_what_was_ordered_last_says_so_and_not_what_a_bank_has_said_of_it_since(
    ordered, status, revenue
):
    said = effects(CASE | {"ordered": ordered, "status": status}, Pending(10))["revenue"]
    assert said.startswith(revenue)
    assert ("a bank" in said) == (ordered == "release" and status == "confirmed")


class Table:
    """Of balances, without a client."""

    exceptions = SimpleNamespace(ResourceNotFoundException=KeyError)

    def __init__(self, *kept: dict[str, Any]) -> None:
        self.kept = {item["customer_id"]: item for item in kept}


@pytest.mark.parametrize(
    ("own", "points"),
    [({}, "30 pending of all held sales of the household"),
     ({"pending": 20}, "30 pending of all held sales of the household, 20 of the customer alone")],
)  # fmt: skip
def test_of_a_member_the_points_of_the_household_are_shown_and_what_waits_in_the_own_account(
    own, points, monkeypatch
):
    member = {"customer_id": CASE["customer_id"], "household": "household:H1"} | own
    table = Table(member, {"customer_id": "household:H1", "balance": 20, "pending": 30})
    monkeypatch.setattr(items, "get", lambda client, _, customer_id: client.kept.get(customer_id))
    monkeypatch.setattr(clients, "dynamodb", lambda conf: table)
    cases = Cases(load("local"))
    assert effects(CASE, cases.pending(CASE))["points"] == points


def test_a_case_that_only_asks_a_person_to_look_holds_nothing():
    assert effects(CASE | {"outcome": "review"}, Pending(10)) == {}


def test_points_of_nobody_are_not_named_and_what_is_not_known_is_said():
    assert "points" not in effects({**CASE, "customer_id": None}, None)
    assert effects(CASE, None)["points"] == "not known"


def test_show_says_what_the_case_holds(monkeypatch):
    class Cases:
        def __init__(self, conf: Any) -> None:
            pass

        def get(self, transaction_id: str) -> dict[str, Any]:
            return CASE

        def pending(self, case: dict[str, Any]) -> Pending:
            return Pending(1_230)

    monkeypatch.setattr(commands, "Cases", Cases)
    said = CliRunner().invoke(commands.fraud, ["show", CASE["transaction_id"]], terminal_width=80)
    assert said.exit_code == 0
    assert "1,234.00 ZAR held" in said.output
    assert "1,230 pending" in said.output
    assert "as sold" in said.output


def test_a_case_that_was_a_hold_once_is_ended_as_one_though_it_was_judged_a_review_the_second_time():
    first = {"transaction_id": "sale-1", "outcome": "hold", "held": "hold"}
    again = {"transaction_id": "sale-1", "outcome": "review"}
    assert source_of(first | again) == "hold"  # as the table merges what is written of a case
    assert source_of(again) == "review"
    assert source_of({"outcome": "hold"}) == "hold"  # of before


@pytest.mark.parametrize(("outcome", "kept"), [("hold", {"held": "hold"}), ("review", {})])
def test_a_case_says_that_it_is_a_hold_and_one_that_is_none_overwrites_nothing(outcome, kept):
    decision = SimpleNamespace(
        outcome=outcome, transaction_id="s", score=1.0, rules_version="v", subject=None, customer_id=None,
        card_token=None, store=1, till=1, total_cents=1, currency="ZAR", event_time_ms=T0, judged_at_ms=T0,
        watched=False, hits=(), reasons=(),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(actions, "codes", lambda _: "")
        patch.setattr(actions, "would_hold", lambda _: outcome == "hold")
        made = json.loads(msgspec.json.encode(actions.case_of(decision, 24, 30)))  # type: ignore[arg-type]
    assert {name: made[name] for name in ("held",) if name in made} == kept
