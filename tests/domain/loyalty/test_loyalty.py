"""The points rule, by the case study's figures and by properties."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.sales import T0, line, part, parts_of, sale
from tillstream.domain.loyalty import parts
from tillstream.domain.loyalty.ledger import (
    DAY_MS,
    Account,
    LoyaltyRules,
    Posting,
    Refused,
    Terms,
    apply,
)
from tillstream.domain.loyalty.parts import Part

RULES = LoyaltyRules()


def txn(
    name: str,
    cents: int,
    kind: str = "sale",
    refers_to: str | None = None,
    redeem: int = 0,
    at: int = T0,
    currency: str = "ZAR",
) -> Part:
    return part(
        sale(name, at, cents, kind=kind, refers_to=refers_to, points_to_redeem=redeem or None,
             currency=currency)
    )  # fmt: skip


def run(*transactions, rules: LoyaltyRules = RULES, account: Account | None = None):
    """(account, all entries) after the transactions, as the job would have it."""
    entries: list = []
    for transaction in transactions:
        after, made = apply(account, transaction, rules, arrived_ms=transaction.event_time_ms)
        account = after or account
        entries.extend([made] if isinstance(made, Refused) else made)
    return account, entries


def test_a_hundred_rand_earns_ten_points():
    account, entries = run(txn("sale-001", 10_000))
    assert account.balance == 10
    assert (entries[0].earned, entries[0].redeemed, entries[0].delta) == (10, 0, 10)


@pytest.mark.parametrize(
    ("cents", "points"), [(999, 0), (1000, 1), (1999, 1), (0, 0), (99_999, 99)]
)
def test_only_whole_ten_rands_count(cents, points):
    assert run(txn("sale-001", cents))[0].balance == points


def test_ten_and_twenty_make_thirty_and_redeeming_twenty_five_leaves_five():
    account, entries = run(
        txn("sale-001", 10_000), txn("sale-002", 20_000), txn("sale-003", 900, redeem=25)
    )
    assert account.balance == 5
    assert entries[-1].outcome == "posted"
    assert entries[-1].paid_cents == 650


def test_twenty_five_of_twenty_four_is_refused_with_the_reason_and_the_sale_still_earns():
    account, entries = run(txn("sale-001", 24_000), txn("sale-002", 10_000, redeem=25))
    assert (entries[-1].outcome, entries[-1].reason) == (
        "redemption_refused",
        "insufficient_balance",
    )
    assert entries[-1].redeemed == 0
    assert account.balance == 34


def test_a_redemption_worth_more_than_the_basket_is_refused_whole():
    account, entries = run(txn("sale-001", 100_000), txn("sale-002", 500, redeem=51))
    assert entries[-1].reason == "exceeds_total"
    assert account.balance == 100


@pytest.mark.parametrize(("granted", "outcome", "reason", "redeemed", "balance"), [
    (0, "redemption_refused", "by_till", 0, 50 + 10),  # all was paid in cash
    (30, "posted", None, 30, 50 - 30 + 9),
    (60, "posted", "overdrawn", 60, 50 - 60 + 9),  # the customer has had it
    (None, "redemption_refused", "insufficient_balance", 0, 50 + 10),
])  # fmt: skip
def test_what_a_till_has_granted_is_what_was_redeemed(granted, outcome, reason, redeemed, balance):
    asked = replace(txn("sale-002", 10_000, redeem=60), granted=granted)
    account, entries = run(txn("sale-001", 50_000), asked)
    last = entries[-1]
    assert (last.outcome, last.reason, last.redeemed) == (outcome, reason, redeemed)
    assert account.balance == balance


def test_points_are_earned_on_what_is_paid_after_redemption():
    _, entries = run(txn("sale-001", 100_000), txn("sale-002", 10_000, redeem=100))
    assert (entries[-1].paid_cents, entries[-1].earned) == (9_000, 9)


def test_the_same_transaction_twice_has_the_effect_of_once():
    once, entries = run(txn("sale-001", 10_000))
    twice, more = run(txn("sale-001", 10_000), txn("sale-001", 10_000))
    assert (twice, more) == (once, entries)


def test_a_void_takes_back_what_was_earned_and_gives_back_what_was_redeemed():
    account, entries = run(
        txn("sale-001", 50_000),
        txn("sale-002", 20_000, redeem=40),
        txn("void-001", 20_000, "void", "sale-002"),
    )
    assert account.balance == 50
    assert (entries[-1].earned, entries[-1].redeemed, entries[-1].delta) == (-19, -40, 21)


def test_a_partial_refund_takes_back_only_its_part():
    account, _ = run(txn("sale-001", 10_500), txn("refund-01", 1_000, "refund", "sale-001"))
    assert account.balance == 9


def test_a_second_void_finds_nothing_to_reverse():
    account, entries = run(
        txn("sale-001", 10_000),
        txn("void-001", 10_000, "void", "sale-001"),
        txn("void-002", 10_000, "void", "sale-001"),
    )
    assert (entries[-1].outcome, entries[-1].reason) == ("nothing_to_reverse", "already_reversed")
    assert account.balance == 0


def test_a_refund_before_its_sale_waits_and_is_settled_by_it():
    account, entries = run(txn("refund-01", 4_000, "refund", "sale-001"), txn("sale-001", 10_000))
    assert [e.outcome for e in entries] == ["pending_original", "posted", "settled"]
    assert [e.entry_id for e in entries] == ["refund-01", "sale-001", "refund-01:settled"]
    assert account.balance == 6
    assert not account.pending


def test_a_refund_of_spent_points_leaves_points_owed_and_nothing_more_to_redeem():
    account, entries = run(
        txn("sale-001", 10_000),
        txn("sale-002", 100, redeem=10),
        txn("void-001", 10_000, "void", "sale-001"),
        txn("sale-003", 100, redeem=1),
    )
    assert account.balance == -10
    assert entries[-1].reason == "insufficient_balance"


def test_a_transaction_beyond_the_horizon_is_refused_for_it_may_be_a_duplicate():
    old = txn("sale-001", 10_000)
    account, entries = run(old, txn("sale-002", 10_000, at=T0 + 184 * DAY_MS), old)
    assert isinstance(entries[-1], Refused)
    assert entries[-1].reason == "beyond_horizon"
    assert account.balance == 20


def test_goods_of_150_days_ago_find_their_sale_as_the_law_has_it():
    daily = [txn(f"sale-{n:03d}", 1_000, at=T0 + n * DAY_MS) for n in range(2, 150)]
    account, entries = run(
        txn("sale-001", 500_000), *daily,
        txn("back-001", 500_000, "refund", "sale-001", at=T0 + 150 * DAY_MS),
    )  # fmt: skip
    assert (entries[-1].outcome, entries[-1].delta, account.balance) == ("posted", -500, 148)


def test_a_till_with_a_clock_far_ahead_cannot_close_the_horizon():
    account, _ = apply(None, txn("sale-001", 10_000, at=T0 + 2 * DAY_MS), RULES, arrived_ms=T0)
    assert account.newest_ms == T0
    _, entries = apply(account, txn("sale-002", 10_000, at=T0 - 182 * DAY_MS), RULES, arrived_ms=T0)
    assert not isinstance(entries, Refused)


def test_memory_is_bounded_and_what_is_forgotten_cannot_earn_again():
    rules = LoyaltyRules(max_postings=64)
    many = [txn(f"sale-{n:05d}", 1_000, at=T0 + n) for n in range(1_000)]
    account, _ = run(*many, rules=rules)
    assert account.balance == 1_000
    assert len(account.postings) <= 64
    again, entries = run(*many, rules=rules, account=account)
    assert again.balance == 1_000
    assert all(isinstance(e, Refused) for e in entries)


def test_a_sale_is_reversed_on_the_terms_it_was_made_on():
    account, _ = run(txn("sale-001", 10_000))
    dearer = LoyaltyRules({"ZAR": Terms(per_point=2_000)})
    account, _ = run(txn("void-001", 10_000, "void", "sale-001"), rules=dearer, account=account)
    assert account.balance == 0


def exchange(name: str, of: str, cents: int, back_cents: int) -> list[Part]:
    """A receipt on which goods are sold and others of an earlier one come back."""
    lines = (parts.Line("sale", cents), parts.Line("return", -back_cents, of=of))
    total = cents - back_cents
    receipt = parts.Receipt(name, T0, 45, "gauteng", "ZAR", total, lines, customer="C0000000001")
    return list(parts.parts(receipt))


SOLD = txn("sale-001", 10_000)
BACK = txn("back-001", 4_000, "refund", "sale-001")
UNDONE = txn("void-001", 4_000, "void", "back-001")


@pytest.mark.parametrize("order", itertools.permutations([SOLD, BACK, UNDONE]))
def test_a_void_of_a_return_brings_its_points_back_once_in_any_order(order):
    account, entries = run(*order, *order, txn("void-002", 4_000, "void", "back-001"))
    assert account.balance == 10
    assert (entries[-1].outcome, entries[-1].reason) == ("nothing_to_reverse", "already_reversed")


@pytest.mark.parametrize("at", range(3))
def test_a_void_of_an_exchange_undoes_what_was_sold_and_what_came_back(at):
    swap = exchange("swap-001", "sale-001", 7_000, 4_000)
    order = [[SOLD], swap]
    order.insert(at, [txn("void-001", 0, "void", "swap-001")])
    account, entries = run(*itertools.chain(*order))
    assert account.balance == 10
    assert len({e.entry_id for e in entries}) == len(entries)


def test_a_void_of_one_of_two_returns_that_were_more_than_the_sale_leaves_the_other():
    account, _ = run(
        SOLD, txn("back-001", 6_000, "refund", "sale-001"), txn("back-002", 6_000, "refund", "sale-001"),
        txn("void-001", 6_000, "void", "back-001"),
    )  # fmt: skip
    assert account.balance == 4


def test_a_return_of_an_account_of_before_cannot_be_undone_and_says_so():
    account, _ = run(SOLD, BACK)
    account.postings["back-001"] = Posting(T0)  # as version 2 kept it
    account, entries = run(UNDONE, account=account)
    assert (account.balance, entries[-1].outcome) == (6, "nothing_to_reverse")


@st.composite
def histories(draw, redeem=False):
    sales = [
        txn(
            f"sale-{n:03d}",
            draw(st.integers(0, 60_000)),
            redeem=draw(st.integers(0, 60)) if redeem else 0,
            at=T0 + n,
        )
        for n in range(draw(st.integers(1, 4)))
    ]
    reversals = [
        txn(
            f"back-{n:03d}",
            draw(st.integers(0, 60_000)),
            draw(st.sampled_from(["refund", "void"])),
            draw(st.sampled_from(sales)).transaction_id,
            at=T0 + 100 + n,
        )
        for n in range(draw(st.integers(0, 3)))
    ]
    undone = [
        txn(
            f"undo-{n:03d}",
            0,
            "void",
            draw(st.sampled_from(reversals)).transaction_id,
            at=T0 + 200 + n,
        )
        for n in range(draw(st.integers(0, 2)) if reversals else 0)
    ]
    return sales + reversals + undone


@settings(deadline=None)
@given(histories(), st.randoms())
def test_a_return_never_leaves_more_than_was_bought_nor_less_than_nothing(history, random):
    random.shuffle(history)
    account, _ = run(*history)
    bought = sum(one.total_cents // 1_000 for one in history if one.kind == "sale")
    assert 0 <= account.balance <= bought


@settings(deadline=None)
@given(histories(), st.randoms())
def test_without_redemptions_order_and_duplicates_change_nothing_about_the_balance(history, random):
    shuffled = history + random.sample(history, len(history))
    random.shuffle(shuffled)
    assert run(*shuffled)[0].balance == run(*history)[0].balance


@settings(deadline=None)
@given(histories(redeem=True), st.randoms())
def test_the_ledger_always_adds_up_to_the_balance(history, random):
    random.shuffle(history)
    account, entries = run(*history)
    assert sum(e.delta for e in entries) == account.balance
    assert [e.version for e in entries] == list(range(1, account.version + 1))
    assert len({e.entry_id for e in entries}) == len(entries)
    running = itertools.accumulate(e.delta for e in entries)
    assert [e.balance for e in entries] == list(running)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 100_000), st.integers(0, 500), st.lists(st.integers(0, 60_000), max_size=5))
def test_a_sale_wholly_given_back_leaves_the_balance_as_before(total, redeem, refunds):
    opening, _ = run(txn("sale-000", 600_000))
    before = opening.balance
    events = [txn("sale-001", total, redeem=redeem)]
    events += [txn(f"back-{n:03d}", c, "refund", "sale-001") for n, c in enumerate(refunds)]
    account, _ = run(*events, txn("void-001", total, "void", "sale-001"), account=opening)
    assert account.balance == before


LUANDA = LoyaltyRules({"ZAR": Terms(), "AOA": Terms(per_point=50_000, point_value=500)})


def test_ten_thousand_kwanza_earn_what_they_are_worth():
    account, entries = run(txn("sale-001", 1_000_000, currency="AOA"), rules=LUANDA)
    assert (account.balance, entries[0].currency) == (20, "AOA")  # some R190: 19 points at home


def test_a_currency_without_terms_earns_nothing_redeems_nothing_and_says_so():
    account, entries = run(
        txn("sale-001", 10_000), txn("sale-002", 1_000_000, currency="AOA"),
        txn("sale-003", 1_000_000, redeem=5, currency="AOA"),
        txn("back-001", 1_000_000, "refund", "sale-002", currency="AOA"),
    )  # fmt: skip
    assert account.balance == 10
    assert [(entry.outcome, entry.reason, entry.delta) for entry in entries[1:]] == [
        ("posted", "no_terms", 0), ("redemption_refused", "no_terms", 0), ("posted", None, 0),
    ]  # fmt: skip


def test_points_of_one_country_pay_in_another_at_its_terms():
    account, entries = run(
        txn("sale-001", 10_000), txn("sale-002", 5_000, redeem=10, currency="AOA"), rules=LUANDA
    )
    assert (entries[-1].redeemed, entries[-1].paid_cents, account.balance) == (10, 0, 0)


def test_terms_that_come_later_change_nothing_of_what_was_earned_without():
    before, _ = run(txn("sale-001", 1_000_000, currency="AOA"))
    after, entries = run(
        txn("back-001", 1_000_000, "refund", "sale-001", currency="AOA"),
        rules=LUANDA,
        account=before,
    )
    assert (after.balance, entries[0].delta) == (0, 0)


# -- goods that earn nothing -----------------------------------------------------------------------

NOTHING = frozenset({"gift-cards", "tobacco"})
STRICT = LoyaltyRules(earn_nothing=NOTHING)


def basket(name: str, *goods: tuple[str, int], **changes) -> list[Part]:
    lines = [line(f"200000000{n:04d}", 1, cents, category) for n, (category, cents) in
             enumerate(goods)]  # fmt: skip
    return parts_of(sale(name, lines=lines, **changes), NOTHING)


def test_gift_cards_and_tobacco_earn_nothing_beside_bread_that_does():
    account, entries = run(
        *basket("sale-001", ("bakery", 3_000), ("gift-cards", 500_000), ("tobacco", 9_000)),
        rules=STRICT,
    )
    assert (account.balance, entries[0].earned) == (3, 3)
    assert (entries[0].total_cents, entries[0].excluded_cents) == (512_000, 509_000)


def test_bread_that_comes_back_takes_its_point_and_a_gift_card_that_comes_back_takes_none():
    sold = basket("sale-001", ("bakery", 3_000), ("gift-cards", 500_000))
    card = basket("back-001", ("gift-cards", 500_000), kind="refund", refers_to="sale-001")
    bread = basket("back-002", ("bakery", 3_000), kind="refund", refers_to="sale-001")
    for order in (sold + card + bread, sold + bread + card, card + bread + sold):
        account, entries = run(*order, rules=STRICT)
        assert account.balance == 0
        by_cause = {entry.transaction_id: entry.delta for entry in entries if entry.delta}
        assert by_cause == {"sale-001": 3, "back-002": -3}


def test_a_void_takes_all_back_that_a_mixed_basket_earned():
    sold = basket("sale-001", ("bakery", 3_000), ("tobacco", 9_000))
    undone = basket("void-001", ("bakery", 3_000), ("tobacco", 9_000), kind="void",
                    refers_to="sale-001")  # fmt: skip
    assert run(*sold, *undone, rules=STRICT)[0].balance == 0


def test_points_that_pay_for_a_mixed_basket_are_taken_off_what_earns_first():
    rich = basket("sale-001", ("bakery", 500_000))
    paid = basket("sale-002", ("bakery", 3_000), ("tobacco", 9_000), points_to_redeem=200)
    _, entries = run(*rich, *paid, rules=STRICT)
    assert (entries[1].redeemed, entries[1].paid_cents, entries[1].earned) == (200, 10_000, 1)


@pytest.mark.parametrize("kind", ["gift_card", "agency", "deposit", "fee"])
def test_kinds_of_lines_that_are_no_goods_earn_nothing(kind):
    receipt = parts.Receipt(
        "sale-001", T0, 45, "gauteng", "ZAR", 8_000,
        (parts.Line("sale", 3_000), parts.Line(kind, 5_000)), customer="C1",
    )  # fmt: skip
    account, _ = run(*parts.parts(receipt), rules=STRICT)
    assert account.balance == 3


def test_a_coupon_takes_off_what_earns():
    receipt = parts.Receipt(
        "sale-001", T0, 45, "gauteng", "ZAR", 2_500,
        (parts.Line("sale", 3_000), parts.Line("coupon", -500)), customer="C1",
    )  # fmt: skip
    assert run(*parts.parts(receipt))[0].balance == 2


def test_a_gift_card_that_comes_back_is_a_refund_and_takes_no_point():
    sold = basket("sale-001", ("bakery", 3_000), ("gift-cards", 5_000))
    back = parts.Receipt(
        "back-001", T0, 45, "western-cape", "ZAR", -5_000,
        (parts.Line("gift_card", -5_000, "gift-cards", "sale-001"),), customer="C0000000001",
    )  # fmt: skip
    account, entries = run(*sold, *parts.parts(back, NOTHING), rules=STRICT)
    assert (entries[1].kind, entries[1].refers_to, entries[1].delta) == ("refund", "sale-001", 0)
    assert account.balance == 3


@pytest.mark.parametrize(("sold", "kind", "out", "points"), [
    (10_000, "bottle_return", -2_000, 10), (15_000, "agency", -20_000, 15), (10_000, "fee", 2_000, 10),
])  # fmt: skip
def test_what_a_till_pays_out_takes_nothing_from_what_was_bought(sold, kind, out, points):
    lines = (parts.Line("sale", sold), parts.Line(kind, out))
    receipt = parts.Receipt("sale-001", T0, 45, "gauteng", "ZAR", sold + out, lines, customer="C1")
    account, entries = run(*parts.parts(receipt))
    assert (account.balance, entries[0].earned) == (points, points)
    void = replace(receipt, transaction_id="void-001", kind="void", voids="sale-001",
                   total=-receipt.total)  # fmt: skip
    assert run(*parts.parts(void), account=account)[0].balance == 0


def test_bottles_alone_are_no_purchase():
    lines = (parts.Line("bottle_return", -2_000),)
    receipt = parts.Receipt("sale-001", T0, 45, "gauteng", "ZAR", -2_000, lines, customer="C1")
    assert list(parts.parts(receipt)) == []
