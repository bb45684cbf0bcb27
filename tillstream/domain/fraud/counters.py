"""What is counted by card and by terminal: sliding windows, and confirmed frauds by day.

One small state for either key. Whole numbers only and no timer: a window of length W is kept as at
most PARTS buckets of W / PARTS, found by ``event time // width``; buckets that have slid out are
dropped when the next transaction comes. So the state is bounded whatever the traffic, an event
costs a constant, and a window's far edge is exact to a twelfth of its length: it covers more than
11/12 W and at most W.

Confirmed frauds are counted on the day of their *transaction*, when their label arrives. Days count
as known ``delay_days`` after they ended, for until then a sale without a label says nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

import msgspec

DAY_MS = 86_400_000
WINDOWS = ("1m", "10m", "1h", "24h")
WINDOWS_MS = (60_000, 600_000, 3_600_000, DAY_MS)
PARTS = 12
WIDTHS_MS = MINUTE, TEN, HOUR, DAY = tuple(window // PARTS for window in WINDOWS_MS)
KEEP_DAYS = 45  # the longest risk window and a delay of up to 16 days
RECENT = 64  # ids remembered against a repeat that follows closely
LABELLED = 256  # ids remembered against a repeated label


class Counters(msgspec.Struct, array_like=True, gc=False):
    """Counts of one key. Flat lists of whole numbers, oldest first, so that they stay small.

    windows: for each of WINDOWS ``[bucket, count, cents, ...]``; days: ``[day, sales, frauds, ...]``,
    day and bucket counted from 1970 UTC; newest_ms: of the newest transaction; recent, labelled:
    hashes (`id_hash`) of transactions counted last, and of those labelled as fraud. habit: of a card
    alone, see `card.py`. refunds: of a card alone, what was paid to it for goods that it did not buy.
    since_ms: of a till alone, arrival of what was read of it first, 0 if that is not known.
    """

    windows: list[list[int]]
    days: list[int]
    newest_ms: int
    recent: list[int]
    labelled: list[int]
    habit: Habit | None = None
    refunds: list[Refund] = []
    since_ms: int = 0


class Refund(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """transaction: `id_hash`. cents: in the grocer's currency, 0 once it was voided. store, till, cashier:
    where it counts; till is "" for an order from home."""

    transaction: int
    at_ms: int
    cents: int
    store: int = 0
    till: str = ""
    cashier: str = ""


class Habit(msgspec.Struct, array_like=True, gc=False):
    """How a card is used, whoever shows it. sales: counted. level, spread, hour_x, hour_y: as those of a
    `Profile`. store, at_ms: where and when it was last, 0 for nowhere yet."""

    sales: int = 0
    level: float = 0.0
    spread: float = 0.0
    hour_x: float = 0.0
    hour_y: float = 0.0
    store: int = 0
    at_ms: int = 0


class CounterFacts(NamedTuple):
    """What one key's counters say at one transaction, that transaction included.

    n_*, cents_*: sales and their sum in the window. known_*, frauds_*: sales and confirmed frauds of
    the last 1, 7, 28 known days. frauds_early: frauds confirmed on days that are not yet known.
    first_fraud_days, last_fraud_days: days since the oldest and newest confirmed fraud that is
    remembered (45 days), -1 for none. run_days, run_frauds: since when day after day at least half
    of the sales were fraud, up to the newest day of which that can be told, and how many frauds
    that makes; -1 and 0 when the newest such day was honest. honest_since: known sales after the
    newest fraud, -1 without one.
    """

    n_1m: int = 0
    cents_1m: int = 0
    n_10m: int = 0
    cents_10m: int = 0
    n_1h: int = 0
    cents_1h: int = 0
    n_24h: int = 0
    cents_24h: int = 0
    known_1d: int = 0
    frauds_1d: int = 0
    known_7d: int = 0
    frauds_7d: int = 0
    known_28d: int = 0
    frauds_28d: int = 0
    frauds_early: int = 0
    first_fraud_days: int = -1
    last_fraud_days: int = -1
    run_days: int = -1
    run_frauds: int = 0
    honest_since: int = -1


NO_FACTS = CounterFacts()
_facts = CounterFacts._make


def id_hash(text: str) -> int:
    """32 bits of a business id: the same in every process, unlike Python's own hash."""
    return crc32(text.encode())


@lru_cache(maxsize=4096)
def category_hash(category: str) -> int:
    """16 bits of a category; there are few, so they are remembered."""
    return id_hash(category) & 0xFFFF


def count(windows: list[list[int]], at_ms: int, cents: int) -> list[int]:
    """Counts a sale in every window, in place; ``[n, cents, ...]`` for each window, it included.

    A sale older than what a window holds is not put into it; it sees itself and what is there.
    """
    longest = windows[-1]
    if not longest or at_ms // DAY - longest[-3] >= PARTS:  # so with the shorter ones
        windows[:] = (
            [at_ms // MINUTE, 1, cents],
            [at_ms // TEN, 1, cents],
            [at_ms // HOUR, 1, cents],
            [at_ms // DAY, 1, cents],
        )
        return [1, cents, 1, cents, 1, cents, 1, cents]
    facts: list[int] = []
    for ring, width in zip(windows, WIDTHS_MS, strict=True):
        bucket = at_ms // width
        ahead = bucket - ring[-3] if ring else PARTS
        if ahead < 0:
            facts += _count_late(ring, bucket, cents)
            continue
        if ahead >= PARTS:
            ring[:] = (bucket, 1, cents)
        elif ahead:
            ring += (bucket, 1, cents)
            oldest = bucket - PARTS
            drop = 0
            while ring[drop] <= oldest:
                drop += 3
            if drop:
                del ring[:drop]
        else:
            ring[-2] += 1
            ring[-1] += cents
        facts += ring[1:] if len(ring) == 3 else (sum(ring[1::3]), sum(ring[2::3]))
    return facts


def _count_late(ring: list[int], bucket: int, cents: int) -> tuple[int, int]:
    newest = ring[-3]
    n, total = 1, cents
    place = 0
    for i in range(0, len(ring), 3):
        if ring[i] <= bucket:
            place = i + 3
            if ring[i] > bucket - PARTS:
                n += ring[i + 1]
                total += ring[i + 2]
    if bucket > newest - PARTS:
        if place and ring[place - 3] == bucket:
            ring[place - 2] += 1
            ring[place - 1] += cents
        else:
            ring[place:place] = (bucket, 1, cents)
    return n, total


def observe(
    counters: Counters | None, transaction: int, event_ms: int, cents: int, delay_days: int = 7,
    arrived_ms: int = 2**62,
) -> tuple[Counters, CounterFacts]:  # fmt: skip
    """Counts one sale: ``transaction`` is its `id_hash`. A till's clock that is ahead of ``arrived_ms``
    moves no window; the day is that of the event time, as a label has it.

    The counters are changed in place and returned. A repeat that follows within the last RECENT
    sales is not counted again.
    """
    if counters is None:
        counters = Counters([[], [], [], []], [], 0, [], [])
    day, recent = event_ms // DAY_MS, counters.recent
    at_ms = min(event_ms, arrived_ms)
    if transaction in recent:
        copy = [list(ring) for ring in counters.windows]
        seen = count(copy, at_ms, 0)
        seen[0::2] = [n - 1 for n in seen[0::2]]
        return counters, _facts((*seen, *_labels(counters.days, day, delay_days)))
    recent.append(transaction)
    if len(recent) > RECENT:
        del recent[0]
    if at_ms > counters.newest_ms:
        counters.newest_ms = at_ms
    seen = count(counters.windows, at_ms, cents)
    _add_to_day(counters.days, day, 1, 0)
    return counters, _facts((*seen, *_labels(counters.days, day, delay_days)))


def began(counters: Counters | None, arrived_ms: int) -> Counters:
    """A till's counters, which know since when there is something of it."""
    if counters is None:
        counters = Counters([[], [], [], []], [], 0, [], [])
    counters.since_ms = counters.since_ms or arrived_ms
    return counters


def label(
    counters: Counters | None, transaction: int, event_ms: int, fraud: bool
) -> Counters | None:
    """Notes a verdict about a transaction (`id_hash`) of ``event_ms``; None changes nothing.

    A repeated label has no effect; "not fraud" takes back an earlier "fraud". A label about a sale
    that was never counted here is dropped: without sales there is no share to tell.
    """
    if counters is None:
        return None
    day = event_ms // DAY_MS
    days = counters.days
    known = day in days[0::3]
    if not known or fraud == (transaction in counters.labelled):
        return None
    _add_to_day(days, day, 0, 1 if fraud else -1)
    if fraud:
        counters.labelled.append(transaction)
        if len(counters.labelled) > LABELLED:
            del counters.labelled[0]
    else:
        counters.labelled.remove(transaction)
    return counters


def _add_to_day(days: list[int], day: int, sales: int, frauds: int) -> None:
    if not days or day > days[-3]:
        days += (day, sales, frauds)
        while days[0] <= day - KEEP_DAYS:
            del days[:3]
        return
    for i in range(len(days) - 3, -1, -3):
        if days[i] == day:
            days[i + 1] += sales
            days[i + 2] = min(max(days[i + 2] + frauds, 0), days[i + 1])
            return
        if days[i] < day:
            days[i + 3 : i + 3] = (day, sales, frauds)
            return
    if day > days[-3] - KEEP_DAYS:
        days[0:0] = (day, sales, frauds)


def _labels(days: list[int], day: int, delay_days: int) -> tuple[int, ...]:
    """The label part of CounterFacts on ``day``."""
    last_known = day - delay_days - 1
    if not any(days[2::3]):
        if days[0] > last_known:
            return NO_LABELS
        there, sold = days[0::3], days[1::3]
        end = bisect_right(there, last_known)
        n1 = sum(sold[bisect_left(there, last_known) : end])
        n7 = sum(sold[bisect_left(there, last_known - 6) : end])
        n28 = sum(sold[bisect_left(there, last_known - 27) : end])
        return (n1, 0, n7, 0, n28, 0, 0, -1, -1, -1, 0, -1)
    n1 = f1 = n7 = f7 = n28 = f28 = early = run_frauds = honest = 0
    first = last = run = -1
    running = True
    for i in range(len(days) - 3, -1, -3):
        that, sales, frauds = days[i : i + 3]
        back = last_known - that
        if frauds:
            first = day - that
            if last < 0:
                last = first
                honest += sales - frauds if back >= 0 else 0
            if running and (back < 0 or frauds * 2 >= sales):
                run = first
                run_frauds += frauds
            else:
                running = False
            if back < 0:
                early += frauds
        elif back >= 0:
            running = False
            if last < 0:
                honest += sales
        if 0 <= back < 28:
            n28 += sales
            f28 += frauds
            if back < 7:
                n7 += sales
                f7 += frauds
                if not back:
                    n1 += sales
                    f1 += frauds
    return (n1, f1, n7, f7, n28, f28, early, first, last, run, run_frauds, honest)


NO_LABELS = (0, 0, 0, 0, 0, 0, 0, -1, -1, -1, 0, -1)
