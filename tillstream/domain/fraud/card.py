"""What a card does, whoever shows it: places, amounts and hours, with a customer's number or without one.

The subject of a judgement is the customer, else the card. So a card that is shown now with a number and now
without one has two profiles or more, and each of them knows a part. This is the whole, kept with the card's
counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, log, sin
from typing import NamedTuple

import msgspec

from tillstream.domain.fraud.counters import (
    DAY_MS,
    RECENT,
    CounterFacts,
    Counters,
    Habit,
    id_hash,
    observe,
)
from tillstream.domain.fraud.places import Places, distance_km, local_hour
from tillstream.domain.fraud.profile import TURN, ProfileSettings, learn_amount

# Counters know no rule set, so these are fixed.
SETTINGS = ProfileSettings()
FLIGHT_KMH = 900.0  # nobody travels faster
MAX_REFUNDS = 16
REFUNDS_MS = 28 * DAY_MS


class RefundFacts(NamedTuple):
    """Of a refund to a card that did not buy: how many such there were to the card in 28 days and their sum,
    this one included; and this one alone."""

    n_28d: int
    cents_28d: int
    cents: int


def observe_card(
    counters: Counters | None,
    transaction: int,
    event_ms: int,
    cents: int | None,
    store: int,
    there: bool,
    delay_days: int,
    arrived_ms: int,
    places: Places,
) -> tuple[Counters, CounterFacts, Habit | None]:
    """`observe`, and the card's habit before this sale, None before the first. ``there``: whether the card
    was at the store; an order from home says nothing of places. ``cents``: in the grocer's currency, None
    where no rate is known."""
    repeat = counters is not None and transaction in counters.recent
    counters, facts = observe(counters, transaction, event_ms, cents or 0, delay_days, arrived_ms)
    habit = counters.habit
    before = None if habit is None else Habit(*msgspec.structs.astuple(habit))
    if not repeat:
        if habit is None:
            habit = counters.habit = Habit(spread=SETTINGS.usual_spread)
        _accustom(habit, min(event_ms, arrived_ms), cents, store, there, places)
    return counters, facts, before


def observe_refund(
    counters: Counters | None,
    transaction: int,
    event_ms: int,
    cents: int,
    receipts: Sequence[str],
    arrived_ms: int,
) -> tuple[Counters, RefundFacts] | None:
    """Money given back to a card; None where the card bought the goods, or may have.

    ``receipts``: those that the goods are from. The card did not buy them if one is not among its last sales,
    or if none is named and no sale with the card is known. Of a card with more sales than are remembered
    nothing can be said. ``cents``: in the grocer's currency. A repeat is counted once.
    """
    known = counters.recent if counters is not None else []
    own = [id_hash(receipt) in known for receipt in receipts]
    if (all(own) and (own or known)) or len(known) >= RECENT:
        return None
    if counters is None:
        counters = Counters([[], [], [], []], [], 0, [], [])
    rows, at_ms = counters.refunds, min(event_ms, arrived_ms)
    if transaction not in rows[0::3]:
        rows += (transaction, at_ms, cents)
        del rows[: -3 * MAX_REFUNDS]
    sums = [
        more
        for one, then, more in zip(rows[0::3], rows[1::3], rows[2::3], strict=True)
        if one == transaction or 0 <= at_ms - then < REFUNDS_MS
    ]
    return counters, RefundFacts(len(sums), sum(sums), cents)


def _accustom(
    habit: Habit, at_ms: int, cents: int | None, store: int, there: bool, places: Places
) -> None:
    """Takes a sale into the habit, in place."""
    n, least = habit.sales, 1 / SETTINGS.memory_sales
    if cents is not None:
        x = log(cents + 1)
        habit.level = habit.level or x
        learn_amount(habit, x, max(1 / (n + 1 + SETTINGS.prior_sales), least), SETTINGS)
    place = places.get(store)
    if place is not None:
        hour, turn = local_hour(place, at_ms), max(1 / (n + 1), least)
        habit.hour_x += turn * (cos(hour * TURN) - habit.hour_x)
        habit.hour_y += turn * (sin(hour * TURN) - habit.hour_y)
    habit.sales = n + 1
    # Where nobody could have come to, the card is not: else its owner at home would be the next suspect.
    if there and at_ms >= habit.at_ms and not _beyond_reach(habit, at_ms, store, places):
        habit.store, habit.at_ms = store, at_ms


def _beyond_reach(habit: Habit, at_ms: int, store: int, places: Places) -> bool:
    return journey(habit.store, habit.at_ms, store, at_ms, SETTINGS, places)[1] > FLIGHT_KMH


def journey(
    last_store: int, last_ms: int, store: int, at_ms: int, settings: ProfileSettings, places: Places
) -> tuple[float, float]:
    """(km, km/h) from one store to the next; ways below ``min_km`` are none, of an unknown place NaN."""
    if store == last_store:
        return 0.0, 0.0
    here, before = places.get(store), places.get(last_store)
    if here is None or before is None:
        return float("nan"), float("nan")
    km = distance_km(here, before)
    if km < settings.min_km:
        return 0.0, 0.0
    return km, km / (max(abs(at_ms - last_ms) + settings.clock_skew_ms, 1) / 3_600_000)
