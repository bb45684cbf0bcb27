"""Counters by card and till: windows, days and labels, bounded whatever comes."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tillstream.domain.fraud.counters import (
    DAY_MS,
    KEEP_DAYS,
    LABELLED,
    NO_FACTS,
    PARTS,
    RECENT,
    WIDTHS_MS,
    WINDOWS_MS,
    Counters,
    label,
    observe,
)

NOW = 20_000 * DAY_MS + 9 * 3_600_000


def observed(sales, delay_days: int = 7):
    """Counters and the last facts after ``(at_ms, cents)`` sales."""
    counters, facts = None, NO_FACTS
    for n, (at_ms, cents) in enumerate(sales):
        counters, facts = observe(counters, n, at_ms, cents, delay_days)
    return counters, facts


def test_six_sales_in_a_minute_are_six_in_every_window():
    _, facts = observed([(NOW + n * 5_000, 100) for n in range(6)])
    assert facts[:8] == (6, 600, 6, 600, 6, 600, 6, 600)


def test_a_sale_a_minute_fills_the_windows_by_their_lengths():
    _, facts = observed([(NOW + n * 60_000, 1) for n in range(120)])
    assert facts.n_1m == 1
    assert 9 <= facts.n_10m <= 10
    assert 55 <= facts.n_1h <= 60
    assert facts.n_24h == 120


@given(st.lists(st.tuples(st.integers(0, 3 * DAY_MS), st.integers(0, 10**6)), min_size=1))
def test_in_order_a_window_counts_exactly_its_buckets(sales):
    sales = sorted((NOW + at, cents) for at, cents in sales)
    _, facts = observed(sales)
    last = sales[-1][0]
    for w, width in enumerate(WIDTHS_MS):
        inside = [c for at, c in sales if at // width > last // width - PARTS]
        assert facts[2 * w : 2 * w + 2] == (len(inside), sum(inside))
        strictly = [c for at, c in sales if at > last - WINDOWS_MS[w] * (PARTS - 1) // PARTS]
        within = [c for at, c in sales if at > last - WINDOWS_MS[w]]
        assert len(strictly) <= len(inside) <= len(within)


@given(st.lists(st.tuples(st.integers(0, 3 * DAY_MS), st.integers(1, 10**6)), min_size=1))
def test_in_any_order_a_sale_sees_itself_and_the_state_stays_sorted_and_bounded(sales):
    counters, facts = observed([(NOW + at, cents) for at, cents in sales])
    assert facts.n_1m >= 1
    assert facts.cents_24h >= sales[-1][1]
    for ring in counters.windows:
        assert ring[0::3] == sorted(set(ring[0::3]))
        assert len(ring) <= 3 * PARTS
    assert counters.days[0::3] == sorted(set(counters.days[0::3]))
    assert sum(counters.days[1::3]) == len(sales)


def test_a_till_with_a_million_sales_stays_small():
    counters: Counters | None = None
    for n in range(20_000):  # ten a second, then every ten minutes over months
        counters, _ = observe(counters, n, NOW + n * 100, 12_345_678)
    for n in range(20_000):
        counters, _ = observe(counters, n, NOW + n * 600_000, 12_345_678)
        if not n % 50:
            label(counters, n, NOW + n * 600_000, True)
    assert len(counters.days) <= 3 * KEEP_DAYS
    assert len(counters.recent) <= RECENT
    assert len(counters.labelled) <= LABELLED
    assert len(msgspec.msgpack.encode(counters)) < 4_000


def test_a_repeat_is_counted_once_and_sees_the_same():
    counters, first = observe(None, 7, NOW, 500)
    before = msgspec.msgpack.encode(counters)
    counters, again = observe(counters, 7, NOW, 500)
    assert msgspec.msgpack.encode(counters) == before
    assert again == first


def test_frauds_count_on_the_day_of_their_sale_once_it_is_known():
    counters = None
    for n in range(10):
        counters, _ = observe(counters, n, NOW + n * DAY_MS, 100)
    for n in (0, 1):
        assert label(counters, n, NOW + n * DAY_MS, True) is counters
    _, facts = observe(counters, 99, NOW + 10 * DAY_MS, 100)
    assert (facts.known_28d, facts.frauds_28d) == (3, 2)  # of days 0 to 2, a week after they ended
    assert (facts.first_fraud_days, facts.last_fraud_days) == (10, 9)
    assert (facts.run_frauds, facts.honest_since) == (0, 1)


def test_a_run_of_frauds_lasts_until_an_honest_known_day():
    counters = None
    for n in range(12):
        counters, _ = observe(counters, n, NOW + n * DAY_MS, 100)
    for n in (1, 2, 4):
        label(counters, n, NOW + n * DAY_MS, True)
    _, facts = observe(counters, 99, NOW + 12 * DAY_MS, 100)
    assert (facts.run_days, facts.run_frauds) == (8, 1)  # day 3 was honest
    label(counters, 3, NOW + 3 * DAY_MS, True)
    _, facts = observe(counters, 100, NOW + 12 * DAY_MS, 100)
    assert (facts.run_days, facts.run_frauds) == (11, 4)


def test_a_fraud_confirmed_early_is_known_at_once():
    counters, _ = observe(None, 1, NOW, 100)
    label(counters, 1, NOW, True)
    _, facts = observe(counters, 2, NOW + 3_600_000, 100)
    assert (facts.frauds_early, facts.known_7d, facts.run_frauds) == (1, 0, 1)


def test_a_label_counts_once_and_can_be_taken_back():
    counters, _ = observe(None, 1, NOW, 100)
    assert label(counters, 1, NOW, True) is counters
    assert label(counters, 1, NOW, True) is None
    assert label(counters, 1, NOW, False) is counters
    assert label(counters, 1, NOW, False) is None
    assert sum(counters.days[2::3]) == 0


def test_a_label_for_what_was_never_seen_changes_nothing():
    assert label(None, 1, NOW, True) is None
    counters, _ = observe(None, 1, NOW, 100)
    assert label(counters, 2, NOW - 400 * DAY_MS, True) is None
    assert label(counters, 2, NOW + 400 * DAY_MS, True) is None


@given(st.lists(st.tuples(st.integers(0, 60 * DAY_MS), st.booleans(), st.booleans())))
def test_there_are_never_more_frauds_than_sales(events):
    counters = None
    facts = NO_FACTS
    for n, (at, labelled, fraud) in enumerate(events):
        counters, facts = observe(counters, n, NOW + at, 100)
        if labelled:
            label(counters, n, NOW + at, fraud)
        assert facts.frauds_1d <= facts.known_1d
        assert facts.frauds_7d <= facts.known_7d
        assert facts.frauds_28d <= facts.known_28d
    if counters is not None:
        rows = zip(counters.days[1::3], counters.days[2::3], strict=True)
        assert all(0 <= frauds <= sales for sales, frauds in rows)
