"""Whose account a record goes to: Households.java and ReceiptOwners.java before the ledger."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyflink.common import Row, Types
from pyflink.datastream import DataStream
from pyflink.util.java_utils import to_jarray

from tests.domain.loyalty.test_households import EXAMPLES, ODD, SCHEMA
from tests.support.collected import collected
from tests.support.contracts import changed
from tests.support.engine import engine
from tests.support.sales import T0, canonical, refund, sale, void
from tillstream.connectors import batched, sources
from tillstream.connectors.gateway import java, ours
from tillstream.domain.envelope import seal
from tillstream.domain.loyalty.ledger import LoyaltyRules
from tillstream.udfs.engine import BYTES
from tillstream.udfs.loyalty import LoyaltyLedger
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings

ROW = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
DAY_MS = 86_400_000
ANN, BEN, HOME = "C0000000001", "C0000000002", "household:H1"
TOPICS = ["households", "loyalty-adjustments", "holds", "points-transfers", "points-requests"]
JOINED, LATER = T0 + 10_000, T0 + 20_000


def joins(
    customer: str, at_ms: int = JOINED, points: Any = "all", **changes: Any
) -> tuple[str, Any]:
    made = {"schema": 1, "event_id": f"{customer}-in", "kind": "join", "customer_id": customer,
            "household_id": "H1", "points": points, "reason": "family", "by": "agent-17",
            "event_time_ms": at_ms}  # fmt: skip
    return "households", made | changes


def leaves(customer: str, at_ms: int, points: Any = "none", **changes: Any) -> tuple[str, Any]:
    return joins(
        customer, at_ms, points, **{"event_id": f"{customer}-out", "kind": "leave"} | changes
    )


def sold(name: str, customer: str | None, at_ms: int, rand: int, **changes: Any) -> tuple[str, Any]:
    return "transactions", sale(name, at_ms, rand * 100, customer_id=customer, **changes)


def goodwill(customer: str, at_ms: int, points: int, name: str = "desk-1") -> tuple[str, Any]:
    return "loyalty-adjustments", {
        "schema": 1, "adjustment_id": name, "kind": "goodwill", "customer_id": customer,
        "points": points, "reason": "complaint", "by": "agent-17", "event_time_ms": at_ms,
    }  # fmt: skip


class Made:
    """What the two stages and the ledger make of records, one after the other."""

    def __init__(self, *records: tuple[str, Any], arrived_ms: int = LATER + 60_000) -> None:
        self.arrived_ms = arrived_ms
        env = engine()
        rows = [self._row(n, topic, one) for n, (topic, one) in enumerate(records)]
        stream = env.from_collection(rows, ROW)
        made = ours().Households.accounts(
            stream._j_data_stream, to_jarray(java().String, TOPICS), 183 * DAY_MS, 300_000
        )
        claims = ours().ReceiptOwners.claims(ours().Households.transactions(made), 183 * DAY_MS)
        ledger = batched.process(
            None, sources.keyed(DataStream(made).union(DataStream(claims))), None,
            LoyaltyLedger(StageSettings("loyalty"), LoyaltyRules()),
            state="loyalty-account", uid="loyalty-ledger", name="points ledger by customer",
        )  # fmt: skip
        named = {"ledger": ledger, "members": DataStream(ours().Households.members(made)),
                 **{one: batched.side(ledger, one)
                    for one in (DEAD_LETTERS, "points-answers", "points-transfers", "notices")}}  # fmt: skip
        marked = [stream.map(_marked(name), BYTES) for name, stream in named.items()]
        self.of: dict[str, list[Any]] = {name: [] for name in named}
        for value in collected(marked[0].union(*marked[1:])):
            name, _, one = value.partition(b"\n")
            self.of[name.decode()].append(json.loads(one))
        self.entries = {(one["customer_id"], one["entry_id"]): one for one in self.of["ledger"]}

    def _row(self, n: int, topic: str, one: Any) -> Row:
        if isinstance(one, tuple):
            return Row(one[0], seal(f"kafka:{topic}/0/{n}", self.arrived_ms, one[1]))
        if isinstance(one, bytes):
            return Row("~1", seal(f"kafka:{topic}/0/{n}", self.arrived_ms, one))
        key = one.get("customer_id") or "~7"
        raw = canonical(one) if topic == "transactions" else json.dumps(one).encode()
        return Row(key, seal(f"kafka:{topic}/0/{n}", self.arrived_ms, raw))

    def balance(self, account: str) -> int:
        return sum(one["delta"] for one in self.of["ledger"] if one["customer_id"] == account)

    def moved(self) -> list[tuple[str, str, int]]:
        return [
            (one["sender"], one["customer_id"], one["points"])
            for one in self.of["points-transfers"]
        ]


def _marked(name: str) -> Any:
    head = name.encode() + b"\n"
    return lambda value: head + value


def test_who_has_no_household_has_the_account_of_before():
    made = Made(
        sold("s-1", ANN, T0, 1_000),
        ("transactions", refund("r-1", "s-1", cents=20_000, customer_id=BEN)),
    )
    assert (made.balance(ANN), made.balance(BEN)) == (80, 0)
    assert {one["member"] for one in made.of["ledger"]} == {""}
    assert made.of["members"] == []


def test_members_earn_into_one_account_and_redeem_from_it_and_each_entry_says_who():
    made = Made(
        joins(ANN), joins(BEN), sold("s-1", ANN, LATER, 1_000),
        sold("s-2", BEN, LATER, 100, points_to_redeem=100),
    )  # fmt: skip
    assert [(one["customer_id"], one["member"], one["delta"]) for one in made.of["ledger"]
            if one["kind"] == "sale"] == [(HOME, ANN, 100), (HOME, BEN, -91)]  # fmt: skip
    assert [one["recipient"] for one in made.of["notices"]] == [f"customer:{BEN}"]


def test_of_a_sale_the_time_decides_whose_it_is_and_not_when_it_comes():
    made = Made(
        joins(ANN), leaves(ANN, LATER), sold("after", ANN, LATER, 10), sold("within", ANN, LATER - 1, 100),
        sold("before", ANN, JOINED - 1, 1_000),
    )  # fmt: skip
    assert (made.balance(ANN), made.balance(HOME)) == (101, 10)


def test_what_a_customer_has_moves_over_or_stays_and_on_leaving_it_stays_unless_stated():
    before = sold("before", ANN, T0, 1_000)
    assert Made(before, joins(ANN)).moved() == [(ANN, HOME, 100)]
    assert Made(before, joins(ANN, points="none")).moved() == []
    within = sold("within", ANN, JOINED, 3_000)
    assert Made(joins(ANN, points="none"), within, leaves(ANN, LATER)).moved() == []
    assert Made(joins(ANN, points="none"), within, leaves(ANN, LATER, 120)).moved() == [
        (HOME, ANN, 120)
    ]
    made = Made(joins(ANN, points="none"), within, leaves(ANN, LATER, 301))
    (entry,) = [one for one in made.of["ledger"] if one["kind"] == "transfer_out"]
    assert (entry["outcome"], entry["delta"], entry["made_by"]) == (
        "transfer_refused",
        0,
        "agent-17",
    )


def test_events_repeated_or_in_any_order_count_once_by_their_time():
    within = sold("within", ANN, JOINED, 3_000)
    first, second = joins(ANN, points="none"), leaves(ANN, LATER, 120)
    for order in ([first, first, within, second, second], [second, first, first, within, second]):
        made = Made(*order, sold("after", ANN, LATER, 10))
        assert (made.balance(ANN), made.balance(HOME)) == (
            1,
            300 - sum(p for _, _, p in made.moved()),
        )
        assert [one["household"] for one in made.of["members"]][-1] is None
        assert made.of[DEAD_LETTERS] == []
    assert [one["version"] for one in made.of["members"]] == [1, 2]


def test_a_leaving_of_a_household_that_the_customer_is_not_in_moves_nothing():
    made = Made(joins(ANN), sold("s-1", ANN, JOINED, 3_000), leaves(BEN, LATER, "all"))
    assert made.moved() == [(ANN, HOME, 0)]
    assert made.balance(HOME) == 300


def test_who_joins_another_household_leaves_the_first_one_and_its_points_stay_there():
    made = Made(
        joins(ANN), sold("s-1", ANN, JOINED, 1_000),
        joins(ANN, LATER, household_id="H2", event_id="second"), sold("s-2", ANN, LATER, 100),
    )  # fmt: skip
    assert (made.balance(HOME), made.balance("household:H2")) == (100, 10)
    assert [one["household"] for one in made.of["members"]] == [HOME, "household:H2"]


def test_what_comes_back_goes_to_where_its_sale_was_posted_also_after_its_customer_has_left():
    within, back = (
        sold("s-2", ANN, JOINED, 2_000),
        refund("r-2", "s-2", event_time_ms=LATER, cents=200_000, customer_id=ANN),
    )
    made = Made(joins(ANN), within, leaves(ANN, LATER), ("transactions", back))
    assert (made.balance(ANN), made.balance(HOME)) == (0, 0)
    assert made.entries[ANN, "r-2"]["outcome"] == "pending_original"
    taken = [one for one in made.of["ledger"] if one["transaction_id"] == "r-2" and one["delta"]]
    assert [(one["customer_id"], one["delta"]) for one in taken] == [(HOME, -200)]
    before, undone = (
        sold("s-1", ANN, T0, 1_000),
        void("v-1", "s-1", event_time_ms=JOINED, cents=100_000, customer_id=ANN),
    )
    made = Made(before, joins(ANN, points="none"), ("transactions", undone))
    assert (made.balance(ANN), made.balance(HOME)) == (0, 0)
    bens = refund("r-3", "s-2", event_time_ms=LATER, cents=200_000, customer_id=BEN)
    made = Made(joins(ANN), joins(BEN), within, ("transactions", bens))
    assert (made.entries[HOME, "r-3"]["delta"], made.entries[HOME, "r-3"]["member"]) == (-200, BEN)


def test_a_sale_that_comes_again_after_a_late_joining_counts_once():
    again = sold("s-1", ANN, JOINED + 1, 1_000)
    made = Made(again, joins(ANN, points="none"), again, again)
    assert (made.balance(ANN), made.balance(HOME)) == (100, 0)
    back = refund("r-1", "s-1", event_time_ms=LATER, cents=100_000, customer_id=ANN)
    made = Made(again, joins(ANN, points="none"), again, ("transactions", back))
    assert (made.balance(ANN), made.balance(HOME)) == (0, 0)
    made = Made(joins(ANN, points="none"), again, leaves(ANN, JOINED + 1), again)
    assert (made.balance(ANN), made.balance(HOME)) == (0, 100)


def asked(customer: str, sale_id: str, points: int, at_ms: int = LATER) -> tuple[str, Any]:
    return "points-requests", {
        "schema": 1, "request_id": f"ask-{sale_id}", "kind": "hold", "customer_id": customer,
        "transaction_id": sale_id, "store": 45, "till": "3", "event_time_ms": at_ms, "points": points,
        "currency": "ZAR",
    }  # fmt: skip


def test_two_tills_cannot_spend_the_same_points_of_a_household():
    made = Made(
        joins(ANN), joins(BEN), sold("s-1", ANN, JOINED, 1_000),
        asked(ANN, "sale-ann", 80), asked(BEN, "sale-ben", 80), asked(BEN, "sale-two", 20),
    )  # fmt: skip
    answers = [
        (one["customer_id"], one["outcome"], one["available"]) for one in made.of["points-answers"]
    ]
    assert answers == [(ANN, "granted", 20), (BEN, "refused", 20), (BEN, "granted", 0)]


def test_goodwill_for_a_member_goes_to_the_household_once_and_an_expiry_takes_from_the_account_it_names():
    given = goodwill(ANN, LATER, 50)
    made = Made(joins(ANN, points="none"), given, leaves(ANN, JOINED + 1), given)
    assert (made.balance(ANN), made.balance(HOME)) == (0, 50)
    made = Made(given, joins(ANN, points="none"), given)
    assert (made.balance(ANN), made.balance(HOME)) == (50, 0)
    topic, expiry = goodwill(ANN, LATER, 50, "desk-2")
    gone = topic, expiry | {"kind": "expiry", "points": 30}
    made = Made(goodwill(ANN, T0, 50), joins(ANN, points="none"), gone)
    assert (made.balance(ANN), made.balance(HOME)) == (20, 0)


def test_what_is_given_to_a_member_comes_to_the_household():
    given = {"adjustment_id": "d", "customer_id": ANN, "sender": BEN, "points": 40, "reason": "gift",
             "by": "agent-17", "event_time_ms": LATER}  # fmt: skip
    made = Made(joins(ANN), ("points-transfers", given), ("points-transfers", given))
    (entry,) = [one for one in made.of["ledger"] if one["kind"] == "transfer_in"]
    assert (entry["customer_id"], entry["member"], entry["delta"]) == (HOME, ANN, 40)


def test_an_event_that_does_not_count_is_a_dead_letter_that_says_why():
    far = joins(BEN, LATER + 60_000 + 300_001)
    other = joins(ANN, household_id="H2")
    made = Made(joins(ANN), other, far, ("households", b"{"), joins(BEN, by="a b"))
    assert [(one["reason"], one["origin"][-1]) for one in made.of[DEAD_LETTERS]] == [
        ("id_conflict", "1"), ("clock_ahead", "2"), ("not_json", "3"), ("bad_format", "4"),
    ]  # fmt: skip
    assert [one["household"] for one in made.of["members"]] == [HOME]


def test_of_very_many_events_the_oldest_are_forgotten_and_none_of_them_counts_again():
    many = [
        joins(ANN, JOINED + n, "none", household_id=f"H{n}", event_id=f"e-{n}") for n in range(40)
    ]
    made = Made(*many, many[0], sold("s-1", ANN, JOINED + 39, 100), sold("s-2", ANN, T0, 1_000))
    assert made.balance("household:H39") == 10
    assert (
        made.balance("household:H7") == 100
    )  # of what was before the oldest, the last that is known
    assert [one["reason"] for one in made.of[DEAD_LETTERS]] == ["beyond_horizon"]


@pytest.mark.usefixtures("classes")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_jvm_judges_each_example_as_the_contract_does(path):
    assert _accepted(path.read_bytes()) == (path.parts[-2] == "valid")


@pytest.mark.usefixtures("classes")
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([p for p in EXAMPLES if p.parent.name == "valid"]), st.data())
def test_schema_and_jvm_agree_about_damaged_events(path, data):
    document = changed(path, SCHEMA, ODD, data)
    assert _accepted(json.dumps(document).encode()) == SCHEMA.is_valid(document), document


@pytest.mark.usefixtures("classes")
@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"\xff", b"\xef\xbb\xbf{}"], ids=lambda raw: repr(raw)
)
def test_the_jvm_takes_no_other_bytes(raw):
    assert not _accepted(raw)


@pytest.mark.usefixtures("classes")
def test_the_jvm_takes_no_event_with_a_field_twice_or_with_more_behind_it():
    whole = EXAMPLES[-1].read_bytes().strip()
    assert EXAMPLES[-1].parts[-2] == "valid"
    assert _accepted(whole)
    assert not _accepted(whole[:-1] + b', "kind": "leave"}')
    assert not _accepted(whole + b"{}")


def _accepted(raw: bytes) -> bool:
    return bool(ours().HouseholdEvent.matches(seal("kafka:households/0/1", T0, raw)))


def held(name: str, customer: str, action: str, later_ms: int = 0) -> tuple[str, Any]:
    return "holds", {
        "transaction_id": name, "action": action, "store": 147, "customer_id": customer, "currency": "ZAR",
        "event_time_ms": LATER, "ordered_at_ms": LATER + later_ms, "region": "gauteng",
    }  # fmt: skip


def test_points_of_a_sale_that_fraud_holds_are_pending_where_the_sale_was_posted():
    made = Made(
        sold("early", ANN, LATER, 1_000), joins(ANN, points="none"), sold("s-1", ANN, LATER, 100),
        held("early", ANN, "hold"), held("s-1", ANN, "hold"), held("s-1", ANN, "decline", 5),
    )  # fmt: skip
    told = {one["kind"]: one for one in made.of["ledger"] if one["kind"] in ("held", "fraud")}
    assert (told["fraud"]["customer_id"], told["fraud"]["member"]) == (HOME, ANN)
    assert made.balance(HOME) == 0
    own = [one for one in made.of["ledger"] if one["customer_id"] == ANN]
    assert [(one["kind"], one["delta"], one["pending"]) for one in own] == [
        ("sale", 100, 0), ("held", -100, 100),
    ]  # fmt: skip
    assert made.of[DEAD_LETTERS] == []


def pending(made: Made, account: str) -> int:
    """As the account's newest entry says."""
    return [one["pending"] for one in made.of["ledger"] if one["customer_id"] == account][-1]


def test_what_fraud_said_before_its_customer_joined_and_before_the_sale_came_counts_in_the_household():
    sale = sold("s-1", ANN, LATER, 100)
    made = Made(held("s-1", ANN, "hold"), joins(ANN, points="none"), sale)
    assert (made.balance(HOME), pending(made, HOME)) == (0, 10)
    made = Made(
        held("s-1", ANN, "hold"), held("s-1", ANN, "decline", 5), joins(ANN, points="none"), sale
    )
    assert (made.balance(HOME), pending(made, HOME)) == (0, 0)
    made = Made(
        held("s-1", ANN, "decline", 5), held("s-1", ANN, "release", 9), held("s-1", ANN, "hold"),
        held("s-1", ANN, "release", 2), joins(ANN, points="none"), sale,
    )  # fmt: skip
    assert (made.balance(HOME), pending(made, HOME)) == (10, 0)
    assert made.of[DEAD_LETTERS] == []


def test_a_word_before_its_sale_waits_for_it_without_a_household_too():
    made = Made(held("s-1", ANN, "hold"), sold("s-1", ANN, LATER, 100))
    assert (made.balance(ANN), pending(made, ANN)) == (0, 10)


def test_words_about_a_former_members_own_sales_take_no_places_of_the_household():
    own = [
        one
        for n in range(64)
        for one in (
            sold(f"a-{n}", ANN, LATER, 10), held(f"a-{n}", ANN, "hold"), held(f"a-{n}", ANN, "release", 5),
        )
    ]  # fmt: skip
    made = Made(
        joins(ANN, points="none"), joins(BEN, points="none"), leaves(ANN, LATER - 5), *own,
        sold("b-1", BEN, LATER, 1_000), held("b-1", BEN, "hold"),
    )  # fmt: skip
    assert made.of[DEAD_LETTERS] == []
    assert (made.balance(HOME), pending(made, HOME), made.balance(ANN)) == (0, 100, 64)


def test_words_about_a_members_sales_fill_no_account_of_their_own():
    words = [
        one
        for n in range(66)
        for one in (
            sold(f"a-{n}", ANN, LATER, 10), held(f"a-{n}", ANN, "hold"), held(f"a-{n}", ANN, "release", 5),
        )
    ]  # fmt: skip
    made = Made(joins(ANN, points="none"), *words)
    assert made.of[DEAD_LETTERS] == []
    assert made.balance(HOME) == 66


def test_a_malformed_word_about_a_members_sale_is_one_dead_letter():
    topic, word = held("s-1", ANN, "hold")
    del word["event_time_ms"]
    other = joins(ANN, LATER, "none", household_id="H2", event_id="second")
    made = Made(joins(ANN, points="none"), other, (topic, word))
    assert [one["reason"] for one in made.of[DEAD_LETTERS]] == ["missing_field"]
    ahead = held("s-1", ANN, "hold", 60_000 + 300_001)
    made = Made(joins(ANN, points="none"), other, ahead)
    assert [one["reason"] for one in made.of[DEAD_LETTERS]] == ["clock_ahead"]


def test_a_return_that_comes_again_after_a_late_leaving_does_not_give_its_points_back():
    back = "transactions", refund("r", "x", event_time_ms=LATER + 5, cents=100_000, customer_id=ANN)
    made = Made(
        sold("x", ANN, T0, 1_000), joins(ANN, points="none"), back, leaves(ANN, LATER), back
    )
    assert (made.balance(ANN), made.balance(HOME)) == (0, 0)


def test_a_record_that_is_no_receipt_shuts_no_account():
    raw = {"transaction_id": "s-1", "customer": ANN, "ended_ms": 9_000_000_000_000_000}
    bad = "transactions", (ANN, json.dumps(raw).encode())
    made = Made(
        sold("s-1", ANN, T0, 100), joins(ANN, points="none"), bad, sold("s-2", ANN, LATER, 100),
        bad, sold("s-3", ANN, LATER + 1, 100),
    )  # fmt: skip
    assert (made.balance(ANN), made.balance(HOME)) == (10, 20)
    assert {one["reason"] for one in made.of[DEAD_LETTERS]} == {"not_canonical"}


def test_a_card_that_is_called_like_a_household_redeems_none_of_its_points():
    made = Made(
        joins(BEN), sold("b", BEN, LATER, 1_000), sold("x", HOME, LATER, 10, points_to_redeem=90),
        asked(HOME, "sale-x", 80),
    )  # fmt: skip
    assert made.balance(HOME) == 100
    assert [one["reason"] for one in made.of[DEAD_LETTERS]] == ["not_canonical", "bad_format"]
