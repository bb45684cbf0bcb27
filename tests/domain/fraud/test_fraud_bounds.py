"""Whatever comes, for however long: the bytes of a state and the work of a sale have a bound."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from msgspec.structs import replace

from tests.support.fraud_shop import DAY, HOUR, MIDNIGHT, PLACES, RULES, Shop, sale
from tillstream.domain.fraud.counters import label, observe
from tillstream.domain.fraud.decision import Label
from tillstream.domain.fraud.ruleset import Watch, compile_rules
from tillstream.domain.fraud.sale import Line, Sale
from tillstream.state_schemas.keyed import fraud_counters, fraud_profile

# 48 buckets of 3 numbers, 45 days of 3, 16 ids and 256 labelled ones.
COUNTERS_BYTES = 3_500
# 48 buckets, 48 categories, 8 stores, 8 cards, 16 ids, 16 labelled, 8 held with 48 categories each.
PROFILE_BYTES = 3_500
SUBJECT = "C0000012345"


def lines_run(call: Callable[[], object]) -> int:
    """How many lines of Python ``call`` runs: work counted, not timed."""
    lines = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines


def test_a_till_of_many_months_costs_a_sale_no_more_than_one_of_two():
    """One sale in three minutes, every fiftieth a fraud that is confirmed a week later."""
    counters, at_ms = None, MIDNIGHT
    most = {}
    for n in range(200_000):
        at_ms += 180_000
        number, now = n, at_ms
        if n in range(30_000, 32_000) or n >= 198_000:
            work = lines_run(lambda: observe(counters, number, now, 40_000))  # noqa: B023
            most[n >= 198_000] = max(most.get(n >= 198_000, 0), work)
        else:
            counters, _ = observe(counters, n, at_ms, 40_000)
        if n % 50 == 0 and n > 3_360:
            label(counters, n - 3_350, at_ms - 3_350 * 180_000, True)
    assert counters is not None
    assert len(fraud_counters.encode(counters)) < COUNTERS_BYTES
    assert most[True] < 1.1 * most[False]  # a few lines more or less, as the sets' order has it


def test_a_till_at_its_worst_stays_within_its_bytes():
    """A sale a minute with the largest sums, each of them confirmed as fraud."""
    counters, largest = None, 0
    for n in range(70 * 1_440):
        at_ms = MIDNIGHT + n * 60_000
        counters, _ = observe(counters, 2**32 - 1 - n, at_ms, 2**53 - 1)
        label(counters, 2**32 - 1 - n, at_ms, True)
        if n % 997 == 0:
            largest = max(largest, len(fraud_counters.encode(counters)))
    assert largest < COUNTERS_BYTES


def worst(n: int) -> Sale:
    """Another store, card, hour and basket of fifty categories each time, for much money."""
    lines = tuple(
        Line("sale", 100_000, 1_000, "x" + "".join(chr(97 + int(d)) for d in f"{n * 50 + i}"))
        for i in range(50)
    )
    token, store = f"tok_{n:016x}", n % 2_899 + 1
    one = sale(n, MIDNIGHT + n * 5_400_000, 0, store, till=n % 99 + 1, card_token=token)
    return replace(one, lines=lines, total_cents=50 * 100_000)


def test_a_customer_of_ten_thousand_cards_costs_no_more_than_one_of_a_hundred():
    shop = Shop()
    most, largest = {}, 0
    for n in range(10_000):
        txn = worst(n)
        if n in range(100, 200) or n >= 9_900:
            work = lines_run(lambda: shop.takes(txn))  # noqa: B023
            most[n >= 9_900] = max(most.get(n >= 9_900, 0), work)
        else:
            shop.takes(txn)
        if n % 3 == 0:
            shop.job.verdict(verdict_about(txn))
        if n % 50 == 0:
            largest = max(largest, len(fraud_profile.encode(shop.job.profiles[SUBJECT])))
    assert len(shop.job.cards) == 10_000
    assert max(len(fraud_counters.encode(c)) for c in shop.job.cards.values()) < 150
    assert largest < PROFILE_BYTES
    assert most[True] < 1.1 * most[False]  # a few lines more or less, as the sets' order has it


def verdict_about(txn: Sale) -> Label:
    return Label(
        txn.transaction_id, True, txn.event_time_ms, txn.event_time_ms + HOUR, txn.store, txn.till,
        txn.customer_id, txn.card_token,
    )  # fmt: skip


def test_held_sales_of_large_baskets_stay_within_the_bytes():
    data = replace(RULES.data, review_at=0, hold_at=0, watch=Watch(1, 0, 0))
    shop = Shop(compile_rules(data, PLACES))
    for n in range(100):
        shop.takes(worst(n))
    profile = shop.job.profiles[SUBJECT]
    assert len(profile.held) == 8
    assert len(fraud_profile.encode(profile)) < PROFILE_BYTES


def test_labels_for_sales_that_never_were_leave_nothing_to_grow():
    shop = Shop()
    shop.has_a_customer()
    known = sale(1, MIDNIGHT, 40_000)
    before = len(shop.job.tills), len(shop.job.cards), len(shop.job.profiles)
    for n in range(10_000):
        shop.job.verdict(verdict_about(sale(1_000_000 + n, MIDNIGHT - n % 80 * DAY, 1)))
        stranger = sale(n, MIDNIGHT, 1, store=77, customer_id=f"C{n:010d}", card_token=f"tok_{n:x}")
        shop.job.verdict(verdict_about(stranger))
    assert (len(shop.job.tills), len(shop.job.cards), len(shop.job.profiles)) == before
    assert len(fraud_profile.encode(shop.job.profiles[known.customer_id or ""])) < PROFILE_BYTES
    assert max(len(fraud_counters.encode(c)) for c in shop.job.tills.values()) < COUNTERS_BYTES
