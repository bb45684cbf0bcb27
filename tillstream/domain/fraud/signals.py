"""The signals: what is measured of one transaction against what is remembered.

Each is one number under a stable name; NaN where it cannot be measured. Rules compare them with
thresholds; no signal decides anything. Formulas, sources and failure modes: docs/functions/fraud.md.
"""

from __future__ import annotations

from math import atan2, exp, log, nan, pi, sqrt

import msgspec

from tillstream.domain.fraud.card import RefundFacts, journey
from tillstream.domain.fraud.counters import DAY_MS, CounterFacts, Habit, category_hash
from tillstream.domain.fraud.places import Places
from tillstream.domain.fraud.profile import (
    MAX_CATEGORIES,
    TURN,
    Lesson,
    Profile,
    ProfileSettings,
    fading,
    in_home,
    peak_at,
    usual_in,
)
from tillstream.domain.fraud.sale import GIFT_CARDS, Sale, category_of
from tillstream.domain.rates import ONE_CURRENCY, Rates
from tillstream.domain.receipt.sums import BACK

# name -> what it says; the order is the order of a vector of values
SIGNALS: dict[str, str] = {
    "amount.cents": "the total, in the grocer's currency as all amounts of signals",
    "amount.ratio": "times the subject's usual amount",
    "amount.z": "robust standard deviations above the usual, in the logarithm",
    "amount.high_lately": "high amounts before, fading: 1 for each at high_ratio, up to 4",
    "amount.peak": "highest ratio of the last peak_days before, 0 for none that was high",
    "subject.sales": "sales learnt of this subject before",
    "subject.days": "days since its first sale",
    "subject.idle_days": "days since its newest sale",
    "subject.heat": "earlier suspicion, fading",
    "subject.frauds": "confirmed frauds of this subject",
    "subject.fraud_days": "days since its last confirmed fraud",
    "subject.watched": "1 while watched",
    "product.gift_pieces": "gift cards in the basket",
    "product.gift_cents": "worth of the gift cards in the basket",
    "product.gift_new": "1 for gift cards by a subject that never bought one",
    "product.new_share": "share of the basket's worth in categories never bought before",
    "hour.local": "time of day at the store, hours",
    "hour.away": "hours from the subject's usual time of day, round the clock",
    "hour.z": "the same in circular standard deviations",
    "place.new_store": "1 at a store where the subject was never seen",
    "place.km": "way from the last store, 0 below the minimum",
    "place.kmh": "speed needed from the last store",
    "payment.new_card": "1 for a card this subject never used",
    "payment.new_method": "1 for a method of payment it never used",
    "payment.cards": "cards it is known to use",
    "payment.misused_card": "1 for a card with a confirmed fraud here",
    "customer.n_1m": "sales of the subject in 1 minute",
    "customer.cents_1m": "their sum",
    "customer.n_10m": "sales of the subject in 10 minutes",
    "customer.cents_10m": "their sum",
    "customer.n_1h": "sales of the subject in 1 hour",
    "customer.cents_1h": "their sum",
    "customer.n_24h": "sales of the subject in 24 hours",
    "customer.cents_24h": "their sum",
    "card.n_1m": "sales with the card, by whomever, in 1 minute",
    "card.cents_1m": "their sum",
    "card.n_10m": "sales with the card in 10 minutes",
    "card.cents_10m": "their sum",
    "card.n_1h": "sales with the card in 1 hour",
    "card.cents_1h": "their sum",
    "card.n_24h": "sales with the card in 24 hours",
    "card.cents_24h": "their sum",
    "terminal.n_1m": "sales at the till in 1 minute",
    "terminal.cents_1m": "their sum",
    "terminal.n_10m": "sales at the till in 10 minutes",
    "terminal.cents_10m": "their sum",
    "terminal.n_1h": "sales at the till in 1 hour",
    "terminal.cents_1h": "their sum",
    "terminal.n_24h": "sales at the till in 24 hours",
    "terminal.cents_24h": "their sum",
    "terminal.risk_1d": "share of confirmed frauds at the till, last known day, shrunk",
    "terminal.risk_7d": "the same over the last 7 known days",
    "terminal.risk_28d": "the same over the last 28 known days",
    "terminal.frauds_28d": "confirmed frauds at the till in those 28 days",
    "terminal.frauds_early": "frauds confirmed at the till before their day is known",
    "terminal.first_fraud_days": "days since the oldest confirmed fraud at the till",
    "terminal.last_fraud_days": "days since the newest",
    "terminal.run_days": "days since when, day after day, half the sales were fraud",
    "terminal.run_frauds": "how many frauds that makes, 0 when the newest known day was honest",
    "terminal.honest_since": "known sales at the till after its newest fraud",
    "card.km": "way from where the card was last, whoever showed it, 0 below the minimum",
    "card.kmh": "speed needed from there",
    "card.sales": "sales with the card before, by whomever",
    "card.ratio": "times the card's usual amount",
    "card.z": "robust standard deviations above it",
    "card.hour_away": "hours from the card's usual time of day, round the clock",
    "card.hour_z": "the same in circular standard deviations",
    "card.frauds_28d": "confirmed frauds with the card in the last 28 known days",
    "card.frauds_early": "frauds confirmed with the card before their day is known",
    "sale.late_minutes": "from the sale to its arrival at the broker, minutes",
    "refund.cents": "money given back to a card that did not buy; of such a refund nothing else is measured",
    "refund.card_n_28d": "how many such there were to the card in 28 days, this one included",
    "refund.card_cents_28d": "their sum",
    "model.log_odds": "the model's evidence, ln(p / (1 - p)); always the last but one",
    "model.score": "the model's probability p of fraud; always the last",
}
NAMES = tuple(SIGNALS)


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What the counters of the card and of the till say; the card's are None without a card. habit: the
    card's before this sale. refund: of money given back to a card that did not buy, in place of all else."""

    card: CounterFacts | None
    terminal: CounterFacts | None
    habit: Habit | None = None
    refund: RefundFacts | None = None


def measure(
    profile: Profile | None,
    lesson: Lesson,
    txn: Sale,
    facts: Facts,
    own: list[int] | None,
    settings: ProfileSettings,
    places: Places,
    rates: Rates = ONE_CURRENCY,
    at_ms: int = 0,
) -> list[float]:
    """The signals of one sale, in the order of NAMES; the model's two places are left NaN. ``at_ms``: when
    the broker took it.

    ``own``: the subject's windows, this sale included; None without a subject. What no rate is known for
    cannot be measured.
    """
    card, till = facts.card, facts.terminal
    return [
        *_of_amount(profile, lesson, settings, rates),
        *_of_subject(profile, lesson.event_ms, settings),
        *_of_products(profile, lesson, txn, settings, rates),
        *_of_hour(profile, lesson),
        *_of_place(profile, lesson, settings, places),
        *_of_payment(profile, lesson),
        *(own if own is not None else _NO_WINDOWS),
        *(card[:8] if card is not None else _NO_WINDOWS),
        *_of_terminal(till, settings),
        *_of_card(facts.habit, lesson, settings, places, rates),
        *((card.frauds_28d, card.frauds_early) if card is not None else (nan, nan)),
        max(at_ms - txn.event_time_ms, 0) / 60_000,
        *_NO_REFUND,
        nan,
        nan,
    ]


def measure_refund(refund: RefundFacts) -> list[float]:
    """The signals of money given back to a card that did not buy, in the order of NAMES."""
    signals = [nan] * len(NAMES)
    signals[_REFUND : _REFUND + 3] = refund.cents, refund.n_28d, refund.cents_28d
    return signals


_NO_WINDOWS = (nan,) * 8
_NO_REFUND = (nan,) * 3
_REFUND = NAMES.index("refund.cents")


def _of_subject(profile: Profile | None, at: int, settings: ProfileSettings) -> tuple[float, ...]:
    if profile is None:
        return (nan,) * 9
    left = fading(profile, at, settings)
    old, idle = at - profile.first_ms, at - profile.newest_ms
    return (
        profile.high * left,
        peak_at(profile, at, settings),
        profile.sales,
        old / DAY_MS if old > 0 else 0.0,
        idle / DAY_MS if idle > 0 else 0.0,
        profile.heat * left,
        profile.frauds,
        max(at - profile.last_fraud_ms, 0) / DAY_MS if profile.frauds else nan,
        1 if at < profile.watch_until_ms else 0,
    )


def _of_terminal(till: CounterFacts | None, settings: ProfileSettings) -> tuple[float, ...]:
    """Risk: the posterior mean of a share, with a beta prior worth fraud_weight sales at fraud_base.
    Frauds that are confirmed early come on top of both."""
    if till is None:
        return (nan,) * 18
    n1, f1, n7, f7, n28, f28, early, first, last, run, runs, honest = till[8:]
    weight = settings.fraud_weight
    prior = settings.fraud_base * weight
    return (
        *till[:8],
        (f1 + early + prior) / (n1 + early + weight),
        (f7 + early + prior) / (n7 + early + weight),
        (f28 + early + prior) / (n28 + early + weight),
        f28,
        early,
        first if first >= 0 else nan,
        last if last >= 0 else nan,
        run if run >= 0 else nan,
        runs,
        honest if honest >= 0 else nan,
    )


def _of_amount(
    profile: Profile | None, lesson: Lesson, settings: ProfileSettings, rates: Rates
) -> tuple[float, float, float]:
    currency, at_ms = lesson.currency, lesson.event_ms
    of_all = rates.convert(lesson.cents, currency, rates.own, at_ms)
    whole = nan if of_all is None else of_all
    if profile is not None and profile.sales and profile.level:
        cents = in_home(profile, lesson, rates)
        if cents is None:
            return whole, nan, nan
        level, spread, n = profile.level, profile.spread, profile.sales
    else:
        cents, usual = lesson.cents, usual_in(currency, at_ms, settings, rates)
        if not usual:
            return whole, nan, nan
        level, spread, n = log(usual + 1), settings.usual_spread, 0
    above = log(cents + 1) - level
    return whole, exp(above), above / (spread * sqrt(1 + 1 / (n + settings.prior_sales)))


def _of_products(
    profile: Profile | None, lesson: Lesson, txn: Sale, settings: ProfileSettings, rates: Rates
) -> tuple[float, float, float, float]:
    # What is a gift card by its kind is of GIFT_CARDS, whatever the grocer calls them.
    gifts, categories = {*settings.gift_categories, GIFT_CARDS}, lesson.categories
    known = profile.categories if profile is not None else ()
    # A first look, by hash: in most baskets is no gift card and nothing new, and no line tells more.
    plain = len(categories) < MAX_CATEGORIES  # all that were bought
    for gift in gifts:
        plain = plain and category_hash(gift) not in categories
    if plain and (profile is None or not profile.sales):
        return 0, 0, nan, nan
    if plain and not [category for category in categories if category not in known]:
        return 0, 0, 0, 0.0
    thousandths = worth = new = whole = 0
    gift_known = False
    for line in txn.lines:
        if line.kind in BACK:
            continue
        category, value = category_of(line), line.paid
        seen = not category or category_hash(category) in known
        whole += value
        if not seen:
            new += value
        if category in gifts:
            thousandths += line.thousandths
            worth += value
            gift_known = gift_known or seen
    pieces = -(-thousandths // 1000)
    of_gifts = rates.convert(worth, lesson.currency, rates.own, lesson.event_ms) if worth else 0
    gift_cents = nan if of_gifts is None else of_gifts
    if profile is None or not profile.sales:
        return pieces, gift_cents, nan, nan
    share = new / whole if whole > 0 else 0.0
    return pieces, gift_cents, 1 if pieces > 0 and not gift_known else 0, share


def _of_hour(profile: Profile | None, lesson: Lesson) -> tuple[float, float, float]:
    """Mean direction and circular standard deviation (K. V. Mardia, P. E. Jupp, Directional
    Statistics, 2000, section 2.3), the resultant shrunk as if two sales had come at no hour."""
    if lesson.hour < 0:
        return nan, nan, nan
    if profile is None or not profile.sales:
        return lesson.hour, nan, nan
    return lesson.hour, *_away(profile, lesson.hour)


def _away(usual: Profile | Habit, hour: float) -> tuple[float, float]:
    """Hours from the usual time of day, and in circular standard deviations."""
    x, y, n = usual.hour_x, usual.hour_y, usual.sales
    resultant = sqrt(x * x + y * y) * n / (n + 2)
    if resultant < 0.05:
        return 0.0, 0.0
    away = abs(hour - atan2(y, x) / TURN) % 24
    if away > 12:
        away = 24 - away
    deviation = sqrt(-2 * log(min(resultant, 0.9999))) * 12 / pi
    return away, away / deviation if deviation > 1 else away


def _of_card(
    habit: Habit | None, lesson: Lesson, settings: ProfileSettings, places: Places, rates: Rates
) -> tuple[float, ...]:
    if habit is None:
        return (nan,) * 7
    km = kmh = nan
    if habit.store and lesson.there:
        km, kmh = journey(habit.store, habit.at_ms, lesson.store, lesson.event_ms, settings, places)
    n, ratio, z = habit.sales, nan, nan
    cents = rates.convert(lesson.cents, lesson.currency, rates.own, lesson.event_ms)
    if cents is not None and habit.level:
        above = log(cents + 1) - habit.level
        ratio, z = exp(above), above / (habit.spread * sqrt(1 + 1 / (n + settings.prior_sales)))
    hours = _away(habit, lesson.hour) if lesson.hour >= 0 else (nan, nan)
    return km, kmh, n, ratio, z, *hours


def _of_place(
    profile: Profile | None, lesson: Lesson, settings: ProfileSettings, places: Places
) -> tuple[float, float, float]:
    if profile is None or not profile.last_store or not lesson.there:
        return nan, nan, nan
    store, at_ms = lesson.store, lesson.event_ms
    new = 0 if store in profile.stores[0::2] else 1
    return new, *journey(profile.last_store, profile.last_ms, store, at_ms, settings, places)


def _of_payment(profile: Profile | None, lesson: Lesson) -> tuple[float, float, float, float]:
    if profile is None or not profile.sales:
        return nan, nan, nan, nan
    cards = profile.cards
    new_card = misused = 0
    if lesson.card:
        try:
            misused = cards[cards[0::3].index(lesson.card) * 3 + 2]
        except ValueError:
            new_card = 1
    method = lesson.method
    new_method = nan if not method else 0 if profile.methods & method else 1
    return new_card, new_method, len(cards) // 3, misused
