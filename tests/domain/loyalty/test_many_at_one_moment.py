"""A dated campaign, or an expiry run, on a household: many changes of one moment in one account."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.domain.loyalty.test_adjustments import change
from tests.domain.loyalty.test_loyalty import RULES, txn
from tests.support.sales import T0
from tillstream.domain.loyalty.adjustments import adjust
from tillstream.domain.loyalty.ledger import Account, LoyaltyRules, Refused, apply


def give(account: Account | None, name: str, at_ms: int, rules: LoyaltyRules = RULES):
    """The account after a point of goodwill; and why it was refused, if it was."""
    one = change("goodwill", 1, name, event_time_ms=at_ms)
    after, made, _ = adjust(account, one, rules, at_ms + 1)
    return after or account, made.reason if isinstance(made, Refused) else None


def test_a_campaign_of_one_moment_is_posted_whole_and_once_while_the_household_shops():
    account, names = None, [f"g-{n:04d}" for n in range(1_200)]
    for n, name in enumerate(names):
        account, refused = give(account, name, T0)
        assert refused is None
        if n % 10 == 0:
            shopped = txn(f"sale-{n:04d}", 1_000, at=T0 + 1 + n)
            account, _ = apply(account, shopped, RULES, T0 + 1 + n)
    assert account.balance == 1_200 + 120
    for name in names:
        account, refused = give(account, name, T0)
        assert refused is None
    assert account.balance == 1_200 + 120


def test_more_of_one_moment_than_four_times_the_limit_are_refused_unposted_by_a_name_of_their_own():
    rules, account = LoyaltyRules(max_postings=64), None
    told = []
    for n in range(300):
        account, refused = give(account, f"g-{n:04d}", T0, rules)
        told.append(refused)
    assert told == [None] * 256 + ["too_many_at_once"] * 44
    assert (account.balance, len(account.postings)) == (256, 256)


def test_a_moment_of_too_many_is_forgotten_once_newer_ones_need_its_place():
    rules, account = LoyaltyRules(max_postings=64), None
    for n in range(256):
        account, _ = give(account, f"g-{n:04d}", T0, rules)
    account, refused = give(account, "newer", T0 + 1, rules)
    assert (refused, account.balance, list(account.postings)) == (None, 257, ["#newer"])
    assert give(account, "g-0000", T0, rules) == (account, "beyond_horizon")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=150))
def test_few_moments_or_many_an_id_counts_once_and_memory_is_bounded(sent):
    """What is sent: its number, which with its time is its id, and its time."""
    rules, account, posted = LoyaltyRules(max_postings=4), None, set()
    for n, (number, at) in enumerate(sent):
        name, before = f"{at}-{number}-{n // 40}", account.balance if account else 0
        account, refused = give(account, name, T0 + at, rules)
        if refused is None and account.balance > before:
            assert name not in posted
            posted.add(name)
        assert len(account.postings) <= 4 * rules.max_postings
    assert (account.balance if account else 0) == len(posted)
