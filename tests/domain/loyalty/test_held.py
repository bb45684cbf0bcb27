"""Points of sales that fraud holds: pending, then there or taken, each once and in any order."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.loyalty.test_adjustments import change
from tests.domain.loyalty.test_holds import ask
from tests.domain.loyalty.test_loyalty import RULES, txn
from tests.support.sales import T0
from tillstream.domain.fraud.actions import Hold
from tillstream.domain.loyalty.adjustments import adjust
from tillstream.domain.loyalty.held import HoldOrder, parse_order
from tillstream.domain.loyalty.ledger import (
    DAY_MS,
    Account,
    LoyaltyRules,
    Refused,
    apply,
    pending_points,
)
from tillstream.domain.loyalty.orders import on_order
from tillstream.domain.loyalty.parts import Part
from tillstream.domain.loyalty.requests import on_request
from tillstream.domain.transaction import InvalidTransaction
from tillstream.state_schemas.keyed import loyalty_account

ANN = "C0000000001"
SOLD = "sale-001"


def said(action: str, of: str = SOLD, minutes: int = 1, sold_ms: int = T0, **changes: Any) -> Any:
    """What the fraud job says of a sale so many minutes after it; a hold at once."""
    at_ms = sold_ms + (500 if action == "hold" else minutes * 60_000)
    told = {"customer_id": ANN} | changes
    if action == "hold":
        told |= {"total_cents": 10_000, "currency": "ZAR", "region": "western-cape"}
    one = Hold(f"{of}:{action}", of, action, 45, 3, "default-3", sold_ms, at_ms, **told)
    return parse_order(msgspec.json.encode(one))


def after(*events: Any, rules: LoyaltyRules = RULES, account: Account | None = None) -> Any:
    """(account, all entries) after them, as the job would have it."""
    entries: list[Any] = []
    for event in events:
        if isinstance(event, HoldOrder):
            kept, made = on_order(account, event, rules)
        else:
            kept, made = apply(account, event, rules, event.event_time_ms)
        account = kept or account
        entries += [made] if isinstance(made, Refused) else made
    return account, entries


def figures(entries: list[Any]) -> list[tuple[Any, ...]]:
    return [(e.kind, e.delta, e.balance, e.pending) for e in entries]


BOUGHT = txn(SOLD, 10_000)  # earns 10


def test_a_held_sale_of_r100_has_its_10_points_pending_and_none_in_the_balance():
    account, entries = after(txn("before", 20_000), BOUGHT, said("hold"))
    assert figures(entries) == [("sale", 20, 20, 0), ("sale", 10, 30, 0), ("held", -10, 20, 10)]
    held = entries[-1]
    assert (held.entry_id, held.transaction_id) == (f"{SOLD}:held:{T0 + 500}", SOLD)
    assert (held.store, held.region, held.currency) == (45, "western-cape", "ZAR")
    assert (account.balance, pending_points(account)) == (20, 10)


def test_pending_points_pay_for_nothing_and_no_till_is_promised_them():
    account, entries = after(BOUGHT, said("hold"), txn("sale-002", 10_000, redeem=10))
    assert entries[-1].outcome == "redemption_refused"
    _, told = on_request(account, ask("sale-003", 11), RULES, T0)
    assert (told.outcome, told.balance) == ("refused", 10)


def test_released_they_are_there_again_and_the_ledger_says_so():
    account, entries = after(BOUGHT, said("hold"), said("release"))
    assert figures(entries)[-1] == ("released", 10, 10, 0)
    assert (entries[-1].region, entries[-1].currency) == ("western-cape", "ZAR")
    assert after(said("release"), said("hold"), account=account)[1] == []


def test_fraud_takes_what_was_earned_and_gives_back_what_was_redeemed_once():
    with_points = txn(SOLD, 10_300, redeem=30)  # pays R100, earns 10
    account, entries = after(txn("before", 30_000), with_points, said("hold"), said("decline"))
    assert figures(entries)[2:] == [("held", -10, 0, 10), ("fraud", 30, 30, 0)]
    assert (entries[-1].earned, entries[-1].redeemed) == (-10, -30)
    assert after(said("decline"), said("hold"), account=account)[1] == []


def test_a_void_or_return_of_fraud_by_the_till_takes_nothing_twice():
    for kind in ("void", "refund"):
        back = txn("back-001", 10_000, kind, SOLD)
        account, entries = after(BOUGHT, said("hold"), said("decline"), back)
        assert (account.balance, pending_points(account)) == (0, 0)
        assert (entries[-1].outcome, entries[-1].reason) == ("nothing_to_reverse", "fraud")
        account, entries = after(BOUGHT, back, said("hold"), said("decline"))
        assert (account.balance, pending_points(account)) == (0, 0)


def test_goods_of_a_held_sale_that_come_back_take_from_what_is_pending():
    account, entries = after(BOUGHT, said("hold"), txn("back-001", 4_000, "refund", SOLD))
    assert figures(entries)[-1] == ("refund", 0, 0, 6)
    account, entries = after(said("release"), account=account)
    assert figures(entries) == [("released", 6, 6, 0)]


def test_a_verdict_that_is_overturned_puts_the_points_back_and_takes_them_again():
    account, entries = after(
        BOUGHT, said("hold"), said("decline", minutes=5), said("release", minutes=9)
    )
    assert figures(entries)[2:] == [("fraud", 0, 0, 0), ("released", 10, 10, 0)]
    account, entries = after(said("decline", minutes=12), account=account)
    assert figures(entries) == [("fraud", -10, 0, 0)]


def test_an_overturned_verdict_puts_back_only_what_the_customer_has_kept():
    account, _ = after(BOUGHT, said("hold"), said("decline"), txn("back-1", 4_000, "refund", SOLD))
    account, entries = after(said("release", minutes=9), account=account)
    assert figures(entries) == [("released", 6, 6, 0)]


def test_a_hold_before_its_sale_waits_for_it_without_an_entry():
    account, entries = after(said("hold"))
    assert (entries, account.balance) == ([], 0)
    account, entries = after(BOUGHT, account=account)
    assert figures(entries) == [("sale", 10, 10, 0), ("held", -10, 0, 10)]


def test_a_release_before_its_hold_and_its_sale_leaves_the_sale_as_it_is():
    _, entries = after(said("release"), said("hold"), BOUGHT)
    assert figures(entries) == [("sale", 10, 10, 0)]


def test_a_refund_and_a_verdict_before_their_sale_are_both_settled_by_it():
    _, entries = after(said("decline"), txn("back-001", 10_000, "refund", SOLD), BOUGHT)
    assert figures(entries)[1:] == [("sale", 10, 10, 0), ("refund", -10, 0, 0), ("fraud", 0, 0, 0)]


def test_a_verdict_that_is_said_again_later_is_no_second_entry():
    _, entries = after(
        BOUGHT,
        said("hold"),
        said("decline"),
        said("decline", minutes=8),
        said("release", minutes=5),
    )
    assert [entry.kind for entry in entries] == ["sale", "held", "fraud"]


EVENTS = [
    BOUGHT, txn("sale-002", 33_000), txn("back-001", 4_000, "refund", SOLD),
    txn("back-002", 3_000, "refund", SOLD), txn("void-001", 4_000, "void", "back-001"),
    said("hold"), said("decline", minutes=2), said("release", minutes=3),
    said("hold", "sale-002"), said("decline", "sale-002", minutes=2),
]  # fmt: skip


@settings(deadline=None)
@given(st.permutations(range(len(EVENTS))), st.integers(0, len(EVENTS)), st.data())
def test_in_any_order_and_repeated_the_balance_is_that_of_once(order, known, data):
    """``known``: how much of it is there; of the first so many each is given once or more."""
    chosen = [EVENTS[n] for n in order[:known]]
    again = data.draw(st.lists(st.sampled_from(chosen), max_size=4)) if chosen else []
    account, entries = after(*chosen, *again)
    wanted, _ = after(*(event for event in EVENTS if event in chosen))
    if account is None:
        return
    assert (account.balance, pending_points(account)) == (wanted.balance, pending_points(wanted))
    assert account.balance == sum(entry.delta for entry in entries)
    assert len({entry.entry_id for entry in entries}) == len(entries)
    assert not entries or entries[-1].balance == account.balance
    assert not entries or entries[-1].pending == pending_points(account)
    assert loyalty_account.decode(loyalty_account.encode(account)) == account


def test_of_two_verdicts_of_one_moment_fraud_counts_in_either_order():
    for verdicts in itertools.permutations([said("release"), said("decline")]):
        account, _ = after(BOUGHT, said("hold"), *verdicts)
        assert (account.balance, pending_points(account)) == (0, 0)


def test_a_sale_of_nobody_or_forgotten_and_what_is_no_sale_are_left_alone():
    account, _ = after(BOUGHT)
    assert on_order(account, said("hold", customer_id=None), RULES) == (None, ())
    old = said("hold", "sale-000", sold_ms=T0 - 200 * DAY_MS)
    assert on_order(account, old, RULES) == (None, ())
    account, _ = after(txn("back-001", 4_000, "refund", SOLD), account=account)
    assert on_order(account, said("hold", "back-001"), RULES) == (None, ())
    _, entries = after(said("hold", "back-002"), txn("back-002", 4_000, "refund", SOLD))
    assert figures(entries) == [("refund", 0, 0, 0)]


def test_on_an_exchange_only_what_was_sold_is_held_or_taken():
    account, _ = after(txn("sale-000", 5_000))
    mixed = [
        Part(SOLD, "sale", T0, ANN, 45, "western-cape", "ZAR", 20_000),
        Part(f"{SOLD}#2", "refund", T0, ANN, 45, "western-cape", "ZAR", 5_000, refers_to="sale-000"),
    ]  # fmt: skip
    account, _ = after(*mixed[:1], account=account)
    kept, _ = apply(account, mixed[1], RULES, T0, together=True)
    account = kept or account
    assert account.balance == 20
    account, entries = after(said("hold"), said("decline"), account=account)
    assert figures(entries) == [("held", -20, 0, 20), ("fraud", 0, 0, 0)]


def test_what_is_held_is_not_forgotten_before_its_verdict_and_what_is_decided_is():
    account, _ = after(BOUGHT, said("hold"), txn("sale-002", 10_000, at=T0 + 200 * DAY_MS))
    assert account.oldest_ms == T0 + 200 * DAY_MS
    account, entries = after(said("release", minutes=201 * 24 * 60), account=account)
    assert figures(entries) == [("released", 10, 20, 0)]
    account, _ = after(txn("sale-003", 10_000, at=T0 + 400 * DAY_MS), account=account)
    assert SOLD not in account.postings
    assert not account.words


def test_words_that_wait_go_with_the_horizon_and_are_64_at_most():
    account, _ = after(txn("sale-000", 10_000), *(said("hold", f"gone-{n:03d}") for n in range(64)))
    kept, refused = on_order(account, said("hold"), RULES)
    assert kept is None
    assert isinstance(refused, Refused)
    assert refused.reason == "too_many_held"
    assert len(account.words) == 64
    account, _ = after(txn("sale-002", 10_000, at=T0 + 400 * DAY_MS), account=account)
    assert not account.words


def test_a_verdict_of_fraud_on_a_sale_that_is_here_is_followed_however_many_are_held():
    account, _ = after(BOUGHT, *(said("hold", f"gone-{n:03d}") for n in range(64)))
    _, entries = after(said("decline"), account=account)
    assert figures(entries) == [("fraud", -10, 0, 0)]


def test_a_replaced_card_takes_no_debt_along_that_pending_points_would_pay():
    account, _ = after(BOUGHT, txn("sale-002", 900, redeem=10), said("hold"))
    assert (account.balance, pending_points(account)) == (-10, 10)
    _, (entry,), sent = adjust(account, change("transfer", to="C0000000002"), RULES, T0)
    assert (entry.delta, entry.pending, sent.points) == (0, 10, 0)


def test_a_job_whose_state_a_release_of_before_shall_read_does_not_follow_fraud():
    account, _ = after(BOUGHT)
    assert on_order(account, said("decline"), LoyaltyRules(max_held=0)) == (None, ())


def test_the_release_of_before_gets_pending_points_as_points_and_fraud_as_returned():
    account, _ = after(BOUGHT, said("hold"), txn("sale-002", 20_000), said("decline", "sale-002"))
    old = loyalty_account.decode(loyalty_account.CODEC.writer({"loyalty_account": 3})(account))
    assert (old.balance, old.words) == (10, {})
    _, entries = after(txn("void-002", 20_000, "void", "sale-002"), account=old)
    assert (entries[-1].delta, entries[-1].reason) == (0, "already_reversed")


@pytest.mark.parametrize(
    "changes", [{"action": "keep"}, {"store": "45"}, {"ordered_at_ms": 5}, {"transaction_id": ""}]
)
def test_what_is_no_word_of_fraud_is_refused(changes):
    made = Hold("x:hold", SOLD, "hold", 45, 3, "default-3", T0, T0, ANN, 10_000, "ZAR", "gauteng")
    parse_order(msgspec.json.encode(made))
    with pytest.raises(InvalidTransaction):
        parse_order(msgspec.json.encode(msgspec.to_builtins(made) | changes))
