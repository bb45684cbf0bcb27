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
    Refund,
    id_hash,
    observe,
)
from tillstream.domain.fraud.places import Places, distance_km, local_hour
from tillstream.domain.fraud.profile import TURN, ProfileSettings, learn_amount
from tillstream.domain.fraud.sale import Sale

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
    forget_refunds(counters, min(event_ms, arrived_ms))
    habit = counters.habit
    before = None if habit is None else Habit(*msgspec.structs.astuple(habit))
    if not repeat:
        if habit is None:
            habit = counters.habit = Habit(spread=SETTINGS.usual_spread)
        _accustom(habit, min(event_ms, arrived_ms), cents, store, there, places)
    return counters, facts, before


def refund_of(sale: Sale, cents: int) -> Refund:
    """Of a receipt that gives ``cents`` of the grocer's currency to a card."""
    at_ms, till = min(sale.event_time_ms, sale.arrived_ms), sale.till if sale.there else ""
    number = id_hash(sale.transaction_id)
    return Refund(number, at_ms, cents, sale.store, till, sale.cashier)


def observe_refund(
    counters: Counters | None, refund: Refund, receipts: Sequence[str]
) -> tuple[Counters, RefundFacts] | None:
    """Money given back to a card; None where the card bought the goods, or may have, or it was voided since.

    ``receipts``: those that the goods are from. The card did not buy them if one is not among its last sales,
    or if none is named and no sale with the card is known. Of a card with more sales than are remembered
    nothing can be said. A repeat is counted once.
    """
    known = counters.recent if counters is not None else []
    own = [id_hash(receipt) in known for receipt in receipts]
    if (all(own) and (own or known)) or len(known) >= RECENT:
        return None
    if counters is None:
        counters = Counters([[], [], [], []], [], 0, [], [])
    before = next((one for one in counters.refunds if one.transaction == refund.transaction), None)
    if before is None:
        counters.refunds.append(refund)
        del counters.refunds[:-MAX_REFUNDS]
        forget_refunds(counters, refund.at_ms)
    elif not before.cents:
        return None
    sums = [
        one.cents
        for one in counters.refunds
        if one.cents
        and (one.transaction == refund.transaction or 0 <= refund.at_ms - one.at_ms < REFUNDS_MS)
    ]
    return counters, RefundFacts(len(sums), sum(sums), refund.cents)


def void_refund(counters: Counters, transaction: int) -> Refund | None:
    """Counts a refund no more, in place, and gives it as it was; None where it is not known, or was voided
    before. It is remembered, so that a copy of it does not count again."""
    for at, one in enumerate(counters.refunds):
        if one.transaction == transaction and one.cents:
            counters.refunds[at] = msgspec.structs.replace(one, cents=0)
            return one
    return None


def forget_refunds(counters: Counters, now_ms: int) -> None:
    """Drops those that no window holds any more, in place."""
    if counters.refunds:
        kept = [one for one in counters.refunds if now_ms - one.at_ms < REFUNDS_MS]
        counters.refunds = kept


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
