"""What is remembered of a customer, and how a sale is learnt.

The subject of a judgement is the customer; without one, the card; without either nobody is
profiled (`subject`). Everything is bounded: a customer with ten thousand cards keeps eight.
"""

from __future__ import annotations

from math import cos, exp, log, pi, sin
from typing import Annotated

import msgspec
from msgspec import Meta

from tillstream.domain.fraud.counters import DAY_MS, Habit, category_hash, id_hash
from tillstream.domain.fraud.places import Places, local_hour
from tillstream.domain.fraud.sale import Sale, category_of
from tillstream.domain.rates import ONE_CURRENCY, Rates
from tillstream.domain.receipt.sums import BACK

METHODS = {
    "card": 1, "cash": 2, "mobile": 4, "gift_card": 8, "eft": 16, "voucher": 32, "points": 64,
    "account": 128, "social_grant": 256, "other": 512,
}  # fmt: skip
MAX_STORES = MAX_CARDS = 8
MAX_CATEGORIES = 48
MAX_RECENT = 16
MAX_RECENT_OF_TILL = 64  # sales of nobody; many people share a till
MAX_HELD = 8
MAX_LABELLED = MAX_RELEASED = MAX_REVIEWED = 16
MAX_WAITING = 8
CLIP = 1.5  # Huber's constant, in standard deviations
CLIPPED_VARIANCE = 0.77847  # E[min(Z², CLIP²)] of a standard normal Z
TURN = 2 * pi / 24


# What is divided by is never 0, and what is raised to a power stays a number.
Spread = Annotated[float, Meta(ge=0.01, le=10)]
Weight = Annotated[float, Meta(ge=0.01, le=10_000)]
Days = Annotated[float, Meta(ge=0.01, le=3_650)]


class ProfileSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """How profiles learn; part of a rule set.

    usual_cents: what a sale usually comes to, by currency, for customers of whom little is known;
    usual_spread: standard deviation of the logarithm of amounts there. prior_sales: how many sales
    of the customer's own weigh as much as that. memory_sales: a customer's newest sales that count.
    min_spread: amounts are never expected to vary less. gift_categories: categories of gift cards.
    clock_skew_ms: by how much clocks of two tills may differ. min_km: shorter ways are no journey.
    heat_half_life_days: how fast earlier suspicion fades. high_ratio: a sale of so many times the
    usual amount counts as a high one; peak_days: how long the highest is remembered. fraud_base,
    fraud_weight: the share of frauds expected at a till of which nothing is known, and how many
    sales of its own weigh as much.
    """

    usual_cents: dict[str, Annotated[int, Meta(ge=1, le=10**12)]] = msgspec.field(
        default_factory=lambda: {"ZAR": 30_000}
    )
    usual_spread: Spread = 0.6
    prior_sales: Weight = 2.0
    memory_sales: Annotated[int, Meta(ge=1, le=10_000)] = 50
    min_spread: Annotated[float, Meta(ge=0, le=10)] = 0.2
    gift_categories: tuple[str, ...] = ("gift-cards",)
    clock_skew_ms: Annotated[int, Meta(ge=0, le=DAY_MS)] = 300_000
    min_km: Annotated[float, Meta(ge=0, le=40_000)] = 50.0
    heat_half_life_days: Days = 7.0
    high_ratio: Annotated[float, Meta(ge=0.01, le=1_000)] = 2.5
    peak_days: Days = 14.0
    fraud_base: Annotated[float, Meta(gt=0, lt=1)] = 0.005
    fraud_weight: Weight = 2.0


class Profile(msgspec.Struct, array_like=True, gc=False):
    """State of a subject. Flat lists of whole numbers, so that they stay small; hashes by id_hash.

    sales: learnt. first_ms, newest_ms: event times. level, spread: robust mean and deviation of
    ln(cents); level 0 until the first sale. hour_x, hour_y: mean unit vector of local times of day.
    last_store, last_ms: where and when last. stores: ``[store, sales, ...]``, latest last. cards:
    ``[card, sales, 1 if misused, ...]``, latest last. methods: bits of METHODS. categories: hashes.
    windows: see counters. heat, heat_ms: earlier suspicion and when it was so much; high: the same of
    high amounts; peak, peak_ms: the highest ratio to the usual amount of late, and when. watch_until_ms,
    watch_cause: watched more strictly until then, because of that transaction. recent: transactions
    judged last. held: not learnt until a verdict. frauds, first_fraud_ms, last_fraud_ms: confirmed.
    labelled: transactions with a verdict of fraud. home: currency of most sales, in which level and spread
    are, "" before the first; home_lead: how many more of them there were than of all others, see `_vote`.
    waiting: answers about sales that are not judged yet. released: transactions that were held or in review,
    and are released. reviewed: in review, without a verdict. A profile whose first_ms is 0 has no sale yet,
    see `of_no_sale`.
    """

    sales: int
    first_ms: int
    newest_ms: int
    level: float
    spread: float
    hour_x: float
    hour_y: float
    last_store: int
    last_ms: int
    stores: list[int]
    cards: list[int]
    methods: int
    categories: list[int]
    windows: list[list[int]]
    heat: float
    heat_ms: int
    high: float
    peak: float
    peak_ms: int
    watch_until_ms: int
    watch_cause: int
    recent: list[int]
    held: list[Lesson]
    frauds: int
    first_fraud_ms: int
    last_fraud_ms: int
    labelled: list[int]
    home: str = ""
    home_lead: int = 0
    waiting: list[Waiting] = []
    released: list[int] = []
    reviewed: list[int] = []


class Waiting(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A customer's answer that was read before its sale. arrived_ms: at the broker. until_ms: by the
    machine's clock."""

    transaction_id: str
    yes: bool
    arrived_ms: int
    until_ms: int


class Lesson(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What a profile learns from: a sale without its lines. cents: in minor units of ``currency``, which
    in lessons of before is "": that of the profile. ``card`` is 0 without one, ``method`` where nobody
    knows how it was paid. there: whether the customer was at the store. till, card_token: for the label
    that may come of an answer; till is "" where an answer releases nothing (any more)."""

    transaction: int
    event_ms: int
    cents: int
    store: int
    hour: float
    card: int
    method: int
    categories: tuple[int, ...]
    currency: str = ""
    there: bool = True
    till: str = ""
    card_token: str = ""


def new_profile(settings: ProfileSettings, at_ms: int) -> Profile:
    return Profile(
        0, at_ms, at_ms, 0.0, settings.usual_spread, 0.0, 0.0, 0, 0, [], [], 0, [],
        [[], [], [], []], 0.0, at_ms, 0.0, 0.0, 0, 0, 0, [], [], 0, 0, 0, [],
    )  # fmt: skip


def of_no_sale(settings: ProfileSettings, at_ms: int) -> Profile:
    """What is remembered of a subject before its first sale: answers that wait, verdicts, reviews."""
    new = new_profile(settings, at_ms)
    new.first_ms = 0
    return new


def begun(profile: Profile | None, settings: ProfileSettings, at_ms: int) -> Profile:
    """The profile, which begins now where nothing was judged yet."""
    if profile is None:
        return new_profile(settings, at_ms)
    if not profile.first_ms:
        profile.first_ms = profile.newest_ms = profile.heat_ms = at_ms
        profile.spread = settings.usual_spread
    return profile


def verdict_of(profile: Profile | None, transaction: int) -> str:
    """``confirmed`` or ``released``, if it is known that somebody has decided about this transaction
    (`id_hash`), else ""."""
    if profile is None:
        return ""
    if transaction in profile.labelled:
        return "confirmed"
    return "released" if transaction in profile.released else ""


def subject(txn: Sale) -> str | None:
    """Whose profile a transaction belongs to: the customer's, else the card's, else nobody's."""
    return txn.customer_id or txn.card_token


def lesson_of(txn: Sale, places: Places, at_ms: int) -> Lesson:
    """A line that says no category says nothing of what is bought."""
    place = places.get(txn.store)
    categories = {
        category_hash(category)
        for line in txn.lines
        if (category := category_of(line)) and line.thousandths > 0 and line.kind not in BACK
    }
    return Lesson(
        id_hash(txn.transaction_id),
        at_ms,
        txn.total_cents,
        txn.store,
        local_hour(place, at_ms) if place is not None else -1.0,
        id_hash(txn.card_token) if txn.card_token else 0,
        METHODS.get(txn.payment_method, 0),
        tuple(categories)[:MAX_CATEGORIES],
        txn.currency,
        txn.there,
        txn.till,
        txn.card_token or "",
    )


def learn(
    profile: Profile, lesson: Lesson, settings: ProfileSettings, rates: Rates = ONE_CURRENCY
) -> None:
    """Takes a sale into the profile, in place; its amount where it can be told in the currency of home."""
    n = profile.sales
    least = 1 / settings.memory_sales
    if lesson.currency:
        _vote(profile, lesson, settings, rates)
    cents = in_home(profile, lesson, rates)
    if cents is not None:
        x = log(cents + 1)
        if not profile.level:
            usual = usual_in(profile.home or lesson.currency, lesson.event_ms, settings, rates)
            profile.level = log(usual + 1) if usual else x
        gain = 1 / (n + 1 + settings.prior_sales)
        gain = gain if gain > least else least
        learn_amount(profile, x, gain, settings)
    if lesson.hour >= 0:
        turn = 1 / (n + 1)
        turn = turn if turn > least else least
        profile.hour_x += turn * (cos(lesson.hour * TURN) - profile.hour_x)
        profile.hour_y += turn * (sin(lesson.hour * TURN) - profile.hour_y)
    profile.sales = n + 1
    if lesson.there:
        if lesson.event_ms >= profile.last_ms:
            profile.last_store, profile.last_ms = lesson.store, lesson.event_ms
        _use(profile.stores, lesson.store, 2, MAX_STORES)
    if lesson.card:
        _use(profile.cards, lesson.card, 3, MAX_CARDS)
    profile.methods |= lesson.method
    known = profile.categories
    for category in lesson.categories:
        if category not in known and len(known) < MAX_CATEGORIES:
            known.append(category)


def in_home(profile: Profile, lesson: Lesson, rates: Rates) -> int | None:
    """The amount in the profile's currency; None where no rate is known."""
    home = profile.home or lesson.currency
    return rates.convert(lesson.cents, lesson.currency or home, home, lesson.event_ms)


def usual_in(currency: str, at_ms: int, settings: ProfileSettings, rates: Rates) -> int | None:
    """What a sale usually comes to in ``currency``: as the rule set says, else what it says of the grocer's
    own currency, converted."""
    usual = settings.usual_cents.get(currency)
    if usual is None and (own := settings.usual_cents.get(rates.own)):
        usual = rates.convert(own, rates.own, currency, at_ms)
    return usual or None


def _vote(profile: Profile, lesson: Lesson, settings: ProfileSettings, rates: Rates) -> None:
    """Whose currency is home, by the vote of Boyer and Moore (MJRTY, 1981): who has the majority of sales
    has won when all are counted, and one name and one number are all that is kept. The lead has a limit,
    for people move."""
    if profile.home == lesson.currency:
        profile.home_lead = min(profile.home_lead + 1, settings.memory_sales)
    elif profile.home and profile.home_lead > 0:
        profile.home_lead -= 1
    else:
        if profile.home and profile.level:
            one = 10**9  # large, so that rounding does not matter
            worth = rates.convert(one, profile.home, lesson.currency, lesson.event_ms)
            # Without a rate the level begins anew.
            profile.level = profile.level + log(worth / one) if worth else 0.0
        profile.home, profile.home_lead = lesson.currency, 1


def settle(profile: Profile, places: Places, currency: str, most_lead: int) -> None:
    """Gives a profile of before a home: the currency of the store where it has most sales, ``currency`` (the
    present sale's) where that is not known."""
    if profile.home or not profile.sales:
        return
    stores = profile.stores
    most = max(range(0, len(stores), 2), key=lambda at: stores[at + 1], default=None)
    place = None if most is None else places.get(stores[most])
    profile.home = (place.currency if place is not None else "") or currency
    profile.home_lead = min(profile.sales, most_lead)


def learn_amount(
    profile: Profile | Habit, x: float, gain: float, settings: ProfileSettings
) -> None:
    """Huber's M-estimate of location with his proposal 2 for scale, as stochastic approximation.

    P. J. Huber, Robust estimation of a location parameter, Ann. Math. Statist. 35 (1964); H. Robbins
    and S. Monro, Ann. Math. Statist. 22 (1951). A sale far away moves the level by at most
    CLIP * spread * gain, however large it is.
    """
    spread = profile.spread
    pull = (x - profile.level) / spread
    pull = CLIP if pull > CLIP else -CLIP if pull < -CLIP else pull
    profile.level += gain * spread * pull
    factor = 1 + 0.5 * gain * (pull * pull / CLIPPED_VARIANCE - 1)
    profile.spread = min(max(spread * factor, settings.min_spread), 2.0)


def _use(entries: list[int], key: int, width: int, most: int) -> None:
    """Counts one use of ``key`` and puts it last; the one unused for longest gives way."""
    if entries and entries[-width] == key:
        entries[1 - width] += 1
        return
    for i in range(0, len(entries) - width, width):
        if entries[i] == key:
            entry = entries[i : i + width]
            del entries[i : i + width]
            entry[1] += 1
            entries += entry
            return
    if len(entries) >= most * width:
        del entries[:width]
    entries += (key, 1, 0)[:width]


def fading(profile: Profile, at_ms: int, settings: ProfileSettings) -> float:
    """What is left at ``at_ms`` of ``heat`` and ``high``, as a factor: one half per half-life."""
    if not profile.heat and not profile.high:
        return 1.0  # nothing to fade
    days = max(at_ms - profile.heat_ms, 0) / DAY_MS
    return exp(-log(2) * days / settings.heat_half_life_days)


def peak_at(profile: Profile, at_ms: int, settings: ProfileSettings) -> float:
    """The highest ratio to the usual amount of late; 0 when there was none above high_ratio."""
    return profile.peak if at_ms - profile.peak_ms < settings.peak_days * DAY_MS else 0.0


def remember(
    profile: Profile, lesson: Lesson, score: float, ratio: float, settings: ProfileSettings
) -> None:
    """What every judged sale leaves behind, learnt or not. ``ratio``: times the usual amount."""
    at = lesson.event_ms
    left = fading(profile, at, settings)
    profile.heat *= left
    if score > 0:
        profile.heat += min(score, 100.0) / 100
    profile.high *= left
    if ratio >= settings.high_ratio and profile.sales:
        profile.high += min(ratio / settings.high_ratio, 4.0)
        if ratio >= peak_at(profile, at, settings):
            profile.peak, profile.peak_ms = min(ratio, 1e6), at
    if at > profile.heat_ms:
        profile.heat_ms = at
    if at > profile.newest_ms:
        profile.newest_ms = at
    note(profile.recent, lesson.transaction, MAX_RECENT)


def note(known: list[int], transaction: int, most: int) -> None:
    """Keeps an id (`id_hash`), and of all the ``most`` latest."""
    known.append(transaction)
    if len(known) > most:
        del known[0]


def forget(known: list[int], transaction: int) -> None:
    if transaction in known:
        known.remove(transaction)
