"""The packaged rule set's points for a till with frauds: for a till that is misused, not for one that was."""

from __future__ import annotations

import pytest

from tests.support.fraud_shop import DAY, HOUR, MIDNIGHT, Shop, sale
from tillstream.domain.fraud.counters import Counters, id_hash, label, observe

NOON = MIDNIGHT + 12 * HOUR


def points(days: dict[int, tuple[int, int]]) -> float:
    """Of an ordinary sale at a till with so many sales and frauds so many days ago."""
    till: Counters | None = None
    frauds = []
    for ago in sorted(days, reverse=True):
        sales, bad = days[ago]
        for n in range(sales):
            number, at_ms = id_hash(f"{ago}/{n}"), NOON - ago * DAY + n * 60_000
            till, _ = observe(till, number, at_ms, 30_000)
            frauds += [(number, at_ms)] if n < bad else []
    for number, at_ms in frauds:
        label(till, number, at_ms, True)
    shop = Shop()
    shop.job.tills["0023-04"] = till
    reasons = shop.takes(sale(1, NOON, 30_000)).reasons
    return sum(reason.points for reason in reasons if reason.code == "till_with_frauds")


@pytest.mark.parametrize(
    ("what", "days", "expected"),
    [
        ("misused altogether to the newest known day", {n: (10, 10) for n in range(8, 12)}, 60),
        ("every tenth sale, day after day", {n: (10, 1) for n in range(8, 30)}, 6.8),
        ("misused for four days, three weeks ago, and honest since",
         {n: (10, 5 if n > 21 else 0) for n in range(8, 26)}, 0),
        ("two frauds a fortnight ago among few sales",
         {n: (3, 2 if n == 15 else 0) for n in range(8, 16)}, 0),
        ("two frauds last week among few sales",
         {n: (5, 2 if n == 9 else 0) for n in range(8, 12)}, 5.5),
        ("one fraud", {n: (5, 1 if n == 8 else 0) for n in range(8, 12)}, 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_till_s_frauds_count_while_it_is_misused(what, days, expected):
    assert points(days) == pytest.approx(expected, abs=0.5), what
