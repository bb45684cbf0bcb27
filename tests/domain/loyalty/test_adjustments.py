"""Points that change without a till: goodwill, expiry, and transfers that lose and make none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.loyalty.test_holds import ask
from tests.domain.loyalty.test_loyalty import RULES, txn
from tests.support import ROOT
from tests.support.contracts import accepted_by_code, changed, judge_example, validator
from tests.support.sales import T0
from tillstream.domain.loyalty.adjustments import (
    Adjustment,
    PointsTransfer,
    adjust,
    parse_adjustment,
    receive,
)
from tillstream.domain.loyalty.ledger import DAY_MS, Account, LoyaltyRules, Refused, apply
from tillstream.domain.loyalty.requests import on_request
from tillstream.state_schemas.keyed import loyalty_account

CONTRACT = ROOT / "state_schemas/events/loyalty_adjustment"
EXAMPLES = sorted(CONTRACT.glob("examples/*/*.json"))
ANN, BEN = "C0000000001", "C0000000002"


def change(
    kind: str, points: int | None = None, name: str = "desk-001", **changes: Any
) -> Adjustment:
    made = {"schema": 1, "adjustment_id": name, "kind": kind, "customer_id": ANN, "reason": "complaint",
            "by": "agent-17", "event_time_ms": T0, "points": points}  # fmt: skip
    return Adjustment(**made | changes)


class Accounts:
    """Accounts by customer, all entries, and transfers on their way."""

    def __init__(self) -> None:
        self.of: dict[str, Account] = {}
        self.entries: list[Any] = []
        self.sent: list[PointsTransfer] = []

    def earn(self, points: int, name: str = "sale-001", **changes: Any) -> Any:
        return self._kept(
            ANN, *apply(self.of.get(ANN), txn(name, points * 1_000, **changes), RULES, T0)
        )

    def adjust(self, one: Adjustment, record: str = "kafka:loyalty-adjustments/0/1") -> Any:
        after, made, sent = adjust(self.of.get(one.customer_id), one, RULES, T0, record)
        self.sent += [sent] if sent else []
        return self._kept(one.customer_id, after, made)

    def arrive(self, transfer: PointsTransfer, at_ms: int = T0) -> Any:
        to = transfer.customer_id
        return self._kept(to, *receive(self.of.get(to), transfer, RULES, at_ms))

    def balance(self, customer: str) -> int:
        return self.of[customer].balance if customer in self.of else 0

    def _kept(self, customer: str, after: Account | None, made: Any) -> Any:
        if isinstance(made, Refused):
            return made
        if after is not None:
            self.of[customer] = after
        self.entries += made
        return made[0] if made else None


def test_two_who_give_to_one_account_under_one_id_both_give():
    shop = Accounts()
    for sender, points in ((ANN, 5), ("C0000000003", 7)):
        given = PointsTransfer(
            adjustment_id="desk-001", customer_id=BEN, sender=sender, points=points, reason="merged",
            by="agent-17", record=f"kafka:loyalty-adjustments/0/{points}",
        )  # fmt: skip
        for _ in range(2):  # the same again is a repeat
            shop.arrive(given)
    assert shop.balance(BEN) == 12
    names = ["#desk-001#in", "#desk-001#from:C0000000003#in"]
    assert [one.entry_id for one in shop.entries] == names


def test_goodwill_for_two_members_of_a_household_under_one_id_is_two():
    account = None
    for member in (ANN, BEN, ANN, BEN):
        one = change("goodwill", 500, customer_id="household:H1")
        after, _, _ = adjust(account, one, RULES, T0, member=member)
        account = account if after is None else after
    assert account is not None
    assert account.balance == 1_000
    assert adjust(account, change("goodwill", 1), RULES, T0, member=BEN)[1].reason == "id_conflict"


def test_goodwill_of_the_second_member_is_known_once_the_first_ones_is_forgotten():
    account = None
    days = {ANN: 0, BEN: 100}
    for member, day in days.items():
        one = change("goodwill", 500, customer_id="household:H1", event_time_ms=T0 + day * DAY_MS)
        account, _, _ = adjust(account, one, RULES, T0 + day * DAY_MS, member=member)
    now = T0 + 190 * DAY_MS
    other = change("goodwill", 1, "desk-002", customer_id="household:H1", event_time_ms=now)
    account, _, _ = adjust(account, other, RULES, now, member=ANN)
    assert account is not None
    assert "#desk-001" not in account.postings
    again = change("goodwill", 500, customer_id="household:H1", event_time_ms=T0 + 100 * DAY_MS)
    assert adjust(account, again, RULES, now, member=BEN)[:2] == (None, ())


def test_goodwill_that_a_release_before_has_posted_for_a_member_is_known():
    account, _, _ = adjust(None, change("goodwill", 500), RULES, T0)
    again = change("goodwill", 500, customer_id="household:H1")
    assert adjust(account, again, RULES, T0, member=BEN)[:2] == (None, ())


def test_goodwill_gives_or_takes_points_once_and_the_ledger_says_why_and_who():
    shop = Accounts()
    entry = shop.adjust(change("goodwill", 200))
    assert (entry.kind, entry.reason, entry.made_by) == ("goodwill", "complaint", "agent-17")
    assert (entry.entry_id, entry.delta, entry.balance) == ("#desk-001", 200, 200)
    assert shop.adjust(change("goodwill", 200)) is None
    assert shop.adjust(change("goodwill", -250, "desk-002")).balance == -50


def test_an_expiry_takes_at_most_what_is_available():
    shop = Accounts()
    shop.earn(300)
    on_request(shop.of[ANN], ask("sale-009", 100), RULES, T0)
    assert shop.adjust(change("expiry", 500)).delta == -200
    entry = shop.adjust(change("expiry", 500, "desk-002"))
    assert (entry.outcome, entry.reason, entry.delta) == (
        "nothing_to_expire",
        "nothing_available",
        0,
    )
    assert shop.balance(ANN) == 100


@pytest.mark.parametrize(("points", "left"), [(None, 0), (120, 180)])
def test_a_transfer_is_two_entries_and_no_point_more_or_less(points, left):
    shop = Accounts()
    shop.earn(300)
    out = shop.adjust(change("transfer", points, to=BEN))
    assert (out.entry_id, out.kind, out.refers_to) == ("#desk-001#out", "transfer_out", BEN)
    (transfer,) = shop.sent
    into = shop.arrive(transfer)
    assert (into.entry_id, into.kind, into.refers_to) == ("#desk-001#in", "transfer_in", ANN)
    assert (shop.balance(ANN), shop.balance(BEN)) == (left, 300 - left)
    assert shop.arrive(transfer) is None
    assert shop.adjust(change("transfer", points, to=BEN)) is None
    assert (len(shop.sent), shop.balance(BEN)) == (1, 300 - left)


def test_more_than_there_is_is_not_transferred_at_all():
    shop = Accounts()
    shop.earn(300)
    entry = shop.adjust(change("transfer", 301, to=BEN))
    assert (entry.outcome, entry.reason, entry.delta) == (
        "transfer_refused",
        "insufficient_balance",
        0,
    )
    assert shop.arrive(shop.sent[0]) is None
    assert BEN not in shop.of


@pytest.mark.parametrize(("first", "again"), [(300, 120), (300, 0), (120, 300)])
def test_of_a_transfer_that_was_decided_again_the_last_word_counts(first, again):
    shop = Accounts()
    shop.earn(300)
    shop.adjust(change("transfer", to=BEN))
    moved = [
        msgspec.structs.replace(shop.sent[0], points=points) for points in (first, again, again)
    ]
    entries = [shop.arrive(one) for one in moved]
    assert shop.balance(BEN) == again
    assert [entry and entry.entry_id for entry in entries] == [
        "#desk-001#in",
        "#desk-001#in:2",
        None,
    ]


def test_an_id_of_goodwill_to_the_one_keeps_no_transfer_of_the_other_away():
    shop = Accounts()
    shop.adjust(change("goodwill", 5, customer_id=BEN))
    shop.earn(300)
    shop.adjust(change("transfer", to=BEN))
    shop.arrive(shop.sent[0])
    assert shop.balance(BEN) == 305


def test_a_card_that_is_replaced_takes_its_debt_along():
    shop = Accounts()
    shop.adjust(change("goodwill", -40))
    shop.adjust(change("transfer", name="desk-002", to=BEN))
    shop.arrive(shop.sent[0])
    assert (shop.balance(ANN), shop.balance(BEN)) == (0, -40)


def test_what_a_till_was_promised_stays_where_its_sale_will_take_it():
    shop = Accounts()
    shop.earn(300)
    on_request(shop.of[ANN], ask("sale-009", 100), RULES, T0)
    assert shop.adjust(change("transfer", to=BEN)).delta == -200
    assert shop.earn(10, "sale-009", redeem=100).outcome == "posted"


def test_an_adjustment_that_may_be_a_repeat_is_refused_and_a_transfer_goes_by_its_arrival():
    shop = Accounts()
    shop.earn(300)
    old = change("goodwill", 5, event_time_ms=T0 - 184 * DAY_MS)
    assert isinstance(shop.adjust(old), Refused)
    shop.adjust(change("transfer", 5, to=BEN))
    entry = shop.arrive(shop.sent[0], T0 + 400 * DAY_MS)
    assert entry.event_time_ms == T0 + 400 * DAY_MS


def test_ids_of_adjustments_and_of_sales_are_never_the_same():
    shop = Accounts()
    shop.earn(300, "desk-001")
    assert shop.adjust(change("goodwill", 5)).balance == 305


@settings(deadline=None)
@given(st.data())
def test_points_are_conserved_over_all_accounts_however_records_repeat_and_interleave(data):
    shop, given = Accounts(), 0
    made: list[Adjustment] = []
    for n in range(data.draw(st.integers(1, 15))):
        what = data.draw(st.sampled_from(["goodwill", "transfer", "arrive", "again"]))
        if what == "arrive" and shop.sent:
            shop.arrive(data.draw(st.sampled_from(shop.sent)))
        elif what == "again" and made:
            shop.adjust(data.draw(st.sampled_from(made)))
        elif what in ("goodwill", "transfer"):
            whose, other = data.draw(st.permutations([ANN, BEN]))
            points = data.draw(st.integers(1, 300))
            if what == "goodwill":
                points *= data.draw(st.sampled_from([1, -1]))
                given += points
                made.append(change(what, points, f"desk-{n:03d}", customer_id=whose))
            else:
                some = data.draw(st.none() | st.just(points))
                made.append(change(what, some, f"desk-{n:03d}", customer_id=whose, to=other))
            shop.adjust(made[-1])
    for transfer in shop.sent:
        shop.arrive(transfer)
    assert shop.balance(ANN) + shop.balance(BEN) == given
    for customer in (ANN, BEN):
        assert sum(e.delta for e in shop.entries if e.customer_id == customer) == shop.balance(
            customer
        )
    assert len({entry.entry_id for entry in shop.entries}) == len(shop.entries)


# -- the contract ----------------------------------------------------------------------------------

SCHEMA = validator(CONTRACT / "v1.json")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_judged_as_its_name_says(path):
    judge_example(path, parse_adjustment, SCHEMA.is_valid)


ODD = st.sampled_from(
    [0, 1, 1.0, -1, 45, 2**40, True, None, "", "x", "goodwill", "transfer", "expiry", ANN, BEN, "a b", {}, [],
     1_764_072_000_000]
)  # fmt: skip
VALID = [path for path in EXAMPLES if path.parts[-2] == "valid"]


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(VALID), st.data())
def test_code_and_schema_judge_any_change_alike(path, data):
    document = changed(path, SCHEMA, ODD, data)
    itself = document.get("to", "") == document.get("customer_id")  # which no schema can say
    wanted = SCHEMA.is_valid(document) and not itself
    assert accepted_by_code(parse_adjustment, document) == wanted, document


CAT = "C0000000003"


def test_another_adjustment_under_a_known_id_is_refused_and_moves_nothing():
    shop = Accounts()
    shop.earn(300)
    shop.adjust(change("transfer", 100, to=BEN))
    for other in (
        change("transfer", 100, to=CAT), change("transfer", 90, to=BEN), change("goodwill", 100),
    ):  # fmt: skip
        assert shop.adjust(other).reason == "id_conflict"
    assert (shop.balance(ANN), len(shop.sent)) == (200, 1)


def test_two_senders_under_one_id_lose_no_points():
    shop = Accounts()
    shop.earn(300)
    shop.adjust(change("transfer", 100, to=BEN))
    shop.arrive(shop.sent[0])
    second = msgspec.structs.replace(shop.sent[0], sender=CAT, points=50)
    assert shop.arrive(second).delta == 50
    assert shop.balance(BEN) == 150
    assert shop.adjust(change("goodwill", 7, customer_id=BEN)).delta == 7


def test_a_transfer_that_can_no_longer_be_decided_takes_back_what_it_may_have_sent():
    shop = Accounts()
    shop.earn(300)
    shop.of[ANN].floor_ms = T0
    assert shop.adjust(change("transfer", 100, to=BEN)).reason == "beyond_horizon"
    assert [(one.points, one.refused) for one in shop.sent] == [(0, True)]


def decided_otherwise(record: str, of: str | None = None) -> Accounts:
    """A transfer that was posted in both accounts, and comes in ``record`` when its sender has forgotten it.
    of: what its receiver knows the sender and the record as."""
    shop = Accounts()
    shop.earn(300)
    one = change("transfer", 100, to=BEN)
    shop.adjust(one)
    shop.arrive(shop.sent[0])
    if of is not None:
        shop.of[BEN].postings["#desk-001#in"].of = of
    del shop.of[ANN].postings["#desk-001"]
    shop.of[ANN].floor_ms = T0
    assert shop.adjust(one, record).reason == "beyond_horizon"
    shop.arrive(shop.sent[1])
    return shop


@pytest.mark.parametrize("of", [None, ANN, ""])
def test_a_transfer_that_comes_again_after_its_sender_forgot_it_takes_nothing_from_its_receiver(of):
    shop = decided_otherwise("kafka:loyalty-adjustments/0/2", of)
    assert (shop.balance(ANN), shop.balance(BEN)) == (200, 100)


def test_a_transfer_that_was_posted_before_a_crash_and_is_refused_after_it_is_taken_back():
    assert decided_otherwise("kafka:loyalty-adjustments/0/1").balance(BEN) == 0


def test_a_busy_account_knows_what_it_was_given_and_takes_what_comes_late():
    shop, rules = Accounts(), LoyaltyRules(max_postings=16)
    shop.earn(300)
    for n in range(2):
        shop.adjust(change("transfer", 100, f"desk-{n}", to=BEN))
    account, _ = receive(None, shop.sent[0], rules, T0)
    for n in range(100):
        account, _ = apply(account, txn(f"sale-{n:03d}", 1_000, at=T0 + n), rules, T0 + n)
    assert account.floor_ms > T0
    assert len(account.postings) <= 17
    assert receive(account, shop.sent[0], rules, T0) == (None, ())
    account, _ = receive(account, shop.sent[1], rules, T0)
    assert account.balance == 300


def test_of_what_an_account_was_given_the_newest_are_known_and_an_older_one_is_refused():
    shop, rules = Accounts(), LoyaltyRules(max_postings=16)
    shop.earn(300)
    shop.adjust(change("transfer", 1, to=BEN))
    account = None
    for n in range(20):
        word = msgspec.structs.replace(shop.sent[0], adjustment_id=f"desk-{n:02d}")
        account, _ = receive(account, word, rules, T0 + n)
    assert (len(account.postings), account.balance) == (16, 20)
    for n in range(20):
        word = msgspec.structs.replace(shop.sent[0], adjustment_id=f"desk-{n:02d}")
        after, made = receive(account, word, rules, T0 + n)
        assert (after, isinstance(made, Refused)) == (None, n < 4)


def test_a_transfer_does_not_move_the_receivers_horizon_to_the_present():
    shop = Accounts()
    shop.earn(300)
    shop.adjust(change("transfer", 100, to=BEN))
    shop.arrive(shop.sent[0], at_ms=T0 + 400 * DAY_MS)
    after, made = apply(shop.of[BEN], txn("sale-002", 10_000, at=T0), RULES, T0)
    assert not isinstance(made, Refused)
    assert after is not None
    assert after.balance == 110


def test_a_release_of_before_keeps_what_a_transfer_brought():
    shop = Accounts()
    shop.earn(300)
    shop.adjust(change("transfer", 100, to=BEN))
    shop.arrive(shop.sent[0])
    written = loyalty_account.CODEC.writer({"loyalty_account": 2})(shop.of[BEN])
    shop.of[BEN] = loyalty_account.decode(written)
    assert shop.arrive(shop.sent[0]) is None
    assert shop.balance(BEN) == 100
