"""The judge: (profile, transaction, facts, rules) -> (profile, decision), and what a verdict does."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress
from math import atan2, exp
from operator import ge

import msgspec

from tillstream.domain.fraud.card import RefundFacts
from tillstream.domain.fraud.counters import DAY_MS, count, id_hash
from tillstream.domain.fraud.decision import (
    TOO_LATE,
    Decision,
    Label,
    Outcome,
    Reason,
    by_person,
    would_hold,
    yes_of_customer,
)
from tillstream.domain.fraud.model import Scorer, probability
from tillstream.domain.fraud.profile import (
    MAX_HELD,
    MAX_LABELLED,
    MAX_RECENT_OF_TILL,
    MAX_RELEASED,
    MAX_REVIEWED,
    TURN,
    Lesson,
    Profile,
    begun,
    forget,
    learn,
    lesson_of,
    note,
    of_no_sale,
    remember,
    settle,
    subject,
    verdict_of,
)
from tillstream.domain.fraud.ruleset import Rules
from tillstream.domain.fraud.sale import Sale, till_number
from tillstream.domain.fraud.signals import NAMES, Facts, measure, measure_refund

HOUR_MS = 3_600_000
LATE_MINUTES = NAMES.index("sale.late_minutes")
LATE_MS = 35 * DAY_MS  # a sale that late is judged, and not learnt


class Judged(msgspec.Struct, frozen=True, gc=False):
    """profile: to be stored, None where there is nothing to store. decision: None for what is not
    judged: refunds but to a card that did not buy, voids, a repeat. shadow: what the shadow rules would have
    decided. signals: what was measured, in the order of NAMES, empty when not judged."""

    profile: Profile | None
    decision: Decision | None
    shadow: Decision | None
    signals: list[float]


NOT_JUDGED = Judged(None, None, None, [])


def judge(
    profile: Profile | None, txn: Sale, facts: Facts, rules: Rules, at_ms: int
) -> tuple[Profile | None, Decision | None]:
    """Judges one sale. ``at_ms``: when the broker took it; the profile is changed in place.

    A void, a repeat of one of the subject's last transactions, and a refund but to a card that did not buy
    give (None, None): store nothing, say nothing. A sale without a subject is judged by its till alone; all
    that is kept is its id, in a profile of the till's that nothing is learnt into.
    """
    judged = judge_both(profile, txn, facts, rules, None, at_ms)
    return judged.profile, judged.decision


def judge_both(
    profile: Profile | None,
    txn: Sale,
    facts: Facts,
    rules: Rules,
    shadow: Rules | None,
    at_ms: int,
    whole: bool = True,
) -> Judged:
    """`judge`, and beside it what ``shadow`` would have decided from the same signals. Not ``whole``:
    decisions that pass come without signals and profile, which is faster."""
    if txn.kind == "refund" and facts.refund is not None:
        return _judge_refund(profile, txn, facts.refund, rules, shadow, at_ms, whole)
    if txn.kind != "sale":
        return NOT_JUDGED
    settings, rates = rules.data.profile, rules.rates
    # A till whose clock runs ahead must not drag the profile into the future.
    now_ms = min(txn.event_time_ms, at_ms)
    lesson = lesson_of(txn, rules.places, now_ms)
    if profile is not None and lesson.transaction in profile.recent:
        return NOT_JUDGED
    profile = begun(profile, settings, now_ms)
    own = usual = None
    if subject(txn) is not None:
        usual = profile
        settle(profile, rules.places, txn.currency, settings.memory_sales)
        money = rates.convert(lesson.cents, txn.currency, rates.own, now_ms)
        own = count(profile.windows, now_ms, money or 0)
    signals = measure(usual, lesson, txn, facts, own, settings, rules.places, rates, at_ms)
    decision = _in_time(weigh(usual, txn, signals, rules, at_ms, now_ms, whole), signals, rules)
    second = None
    if shadow is not None:
        second = weigh(usual, txn, signals, shadow, at_ms, now_ms, whole)
        second = _in_time(second, signals, shadow)
    if usual is not None:
        _take_in(usual, lesson, decision, signals[1], rules)
    else:
        note(profile.recent, lesson.transaction, MAX_RECENT_OF_TILL)
    return Judged(profile, decision, second, signals)


def _judge_refund(
    profile: Profile | None,
    txn: Sale,
    refund: RefundFacts,
    rules: Rules,
    shadow: Rules | None,
    at_ms: int,
    whole: bool,
) -> Judged:
    """Reviewed at most: the money is out, and it may be a present that was brought back. A model has learnt
    nothing of refunds, and says nothing."""
    usual = profile if profile is not None and profile.first_ms else None
    now_ms, signals = min(txn.event_time_ms, at_ms), measure_refund(refund)

    def weighed(by: Rules) -> Decision:
        made = weigh(usual, txn, signals, by._replace(scorer=None), at_ms, now_ms, whole)
        held = made.outcome == "hold"
        return msgspec.structs.replace(made, outcome="review") if held else made

    decision = weighed(rules)
    second = weighed(shadow) if shadow is not None else None
    if decision.outcome == "review" and profile is None:
        profile = of_no_sale(rules.data.profile, now_ms)  # a void of it will be told of in its case
    if profile is not None:
        _note_review(profile, id_hash(txn.transaction_id), decision)
    return Judged(profile, decision, second, signals)


def _in_time(decision: Decision, signals: list[float], rules: Rules) -> Decision:
    """What comes too late to be held is reviewed: the customer is gone, and so are the goods."""
    if decision.outcome != "hold":
        return decision
    late, limit = signals[LATE_MINUTES], rules.data.late_minutes
    if late <= limit:
        return decision
    reason = Reason(TOO_LATE, "sale.late_minutes", late, limit, 0.0, 0.0)
    reasons = (*decision.reasons, reason)
    return msgspec.structs.replace(decision, outcome="review", reasons=reasons)


def weigh(
    profile: Profile | None,
    txn: Sale,
    signals: list[float],
    rules: Rules,
    at_ms: int,
    now_ms: int,
    whole: bool = True,
) -> Decision:
    """The decision that ``rules`` come to from measured signals; changes nothing. ``whole`` as in
    `judge_both`."""
    if rules.scorer is not None:
        signals = _with_model(rules.scorer, signals)
    score, reasons = _reasons(rules, signals)
    data = rules.data
    watched = profile is not None and now_ms < profile.watch_until_ms
    review_at, hold_at = (
        (data.watch.review_at, data.watch.hold_at) if watched else (data.review_at, data.hold_at)
    )
    outcome: Outcome = "hold" if score >= hold_at else "review" if score >= review_at else "pass"
    told = whole or outcome != "pass"
    return Decision(
        txn.transaction_id,
        subject(txn),
        txn.customer_id,
        txn.card_token,
        txn.store,
        till_number(txn.till),
        txn.region,
        txn.event_time_ms,
        at_ms,
        txn.total_cents,
        txn.currency,
        outcome,
        score,
        review_at,
        hold_at,
        watched,
        tuple(reasons),
        {n: v for n, v in zip(NAMES, signals, strict=True) if v == v} if told else {},
        profile_summary(profile) if told else {},
        data.version,
        (f"no_rate:{txn.currency}",) if txn.kind == "sale" and signals[0] != signals[0] else (),
    )


def points(rules: Rules, signals: list[float]) -> float:
    """The score alone that ``rules`` give to measured signals."""
    if rules.scorer is not None:
        signals = _with_model(rules.scorer, signals)
    return _reasons(rules, signals)[0]


def _with_model(scorer: Scorer, signals: list[float]) -> list[float]:
    """The signals with what a model says of them in the last two places."""
    log_odds = scorer(signals)
    return [*signals[:-2], log_odds, probability(log_odds)]


def _reasons(rules: Rules, signals: list[float]) -> tuple[float, list[Reason]]:
    """The sum of points, and the rules that gave them."""
    score = 0.0
    reasons = []
    # The first look, in C: most rules have nothing to say of most sales.
    for rule, at, threshold, full, weight, when in compress(
        rules.ready, map(ge, rules.measured(signals), rules.thresholds)
    ):
        value = signals[at]
        if when is None or when(signals):
            given = weight
            if full is not None and value < full:
                given = weight * (value - threshold) / (full - threshold)
            score += given
            reasons.append(Reason(rule.code, rule.measured, value, threshold, weight, given))
    return score, reasons


def profile_summary(profile: Profile | None) -> dict[str, float | int | str]:
    """A profile for people to read: usual amount and time of day, stores and cards by number."""
    if profile is None:
        return {}
    told: dict[str, float | int | str] = {
        "sales": profile.sales,
        "stores": len(profile.stores) // 2,
        "cards": len(profile.cards) // 3,
        "last_store": profile.last_store,
        "last_ms": profile.last_ms,
        "watch_until_ms": profile.watch_until_ms,
    }
    if profile.sales:
        told["currency"] = profile.home
        told["usual_cents"] = round(exp(profile.level))
        told["usual_low_cents"] = round(exp(profile.level - 2 * profile.spread))
        told["usual_high_cents"] = round(exp(profile.level + 2 * profile.spread))
        told["usual_hour"] = round(atan2(profile.hour_y, profile.hour_x) / TURN % 24, 1)
    return told


def _take_in(
    profile: Profile, lesson: Lesson, decision: Decision, ratio: float, rules: Rules
) -> None:
    """A held sale waits for its verdict, one that came too late to be held is not learnt; every other is. Of
    one that comes again after its verdict, that verdict goes."""
    settings = rules.data.profile
    late = lesson.event_ms < profile.newest_ms - LATE_MS
    remember(profile, lesson, decision.score, ratio, settings)
    verdict = verdict_of(profile, lesson.transaction)
    if verdict == "confirmed":
        return
    _note_review(profile, lesson.transaction, decision)
    if would_hold(decision) and not verdict:
        known = any(sale.transaction == lesson.transaction for sale in profile.held)
        if decision.outcome == "hold" and not known:
            profile.held.append(lesson)
            del profile.held[:-MAX_HELD]
        until = lesson.event_ms + int(rules.data.watch.hours * HOUR_MS)
        if until > profile.watch_until_ms:
            profile.watch_until_ms, profile.watch_cause = until, lesson.transaction
    elif not late:
        learn(profile, lesson, settings, rules.rates)


def _note_review(profile: Profile, transaction: int, decision: Decision) -> None:
    known = transaction in profile.reviewed or verdict_of(profile, transaction)
    if decision.outcome == "review" and not known:
        note(profile.reviewed, transaction, MAX_REVIEWED)


def apply_label(profile: Profile | None, label: Label, rules: Rules) -> Profile | None:
    """The profile after a verdict, changed in place; None: nothing to store.

    Fraud: counted once, the card is marked as misused, what was held is forgotten, the subject is
    watched from the verdict on. Not fraud: what was held is learnt after all, a watch it caused
    ends, a mark it left is taken back. A person's verdict about a hold waits for its sale where the
    subject has none. Any other about an unknown subject has no effect, nor has one about a sale of nobody,
    or a customer's "yes" about what is not held.
    """
    if not (label.customer_id or label.card_token):
        return None
    transaction = id_hash(label.transaction_id)
    begins = profile is None or not profile.first_ms
    if begins and label.source != "hold" and not verdict_of(profile, transaction):
        return None
    profile = profile or of_no_sale(rules.data.profile, label.labelled_ms)
    held = ended(profile, label)
    if held is None and yes_of_customer(label):
        return None
    if held is not None:
        profile.held.remove(held)
    if label.fraud or by_person(label):
        forget(profile.reviewed, transaction)
    card = id_hash(label.card_token) if label.card_token else 0
    if label.fraud:
        if transaction in profile.labelled:
            return None if held is None else profile
        forget(profile.released, transaction)
        note(profile.labelled, transaction, MAX_LABELLED)
        profile.frauds += 1
        profile.first_fraud_ms = min(
            profile.first_fraud_ms or label.event_time_ms, label.event_time_ms
        )
        profile.last_fraud_ms = max(profile.last_fraud_ms, label.event_time_ms)
        _mark_card(profile, card, 1)
        until = label.labelled_ms + int(rules.data.watch.hours * HOUR_MS)
        if until > profile.watch_until_ms:
            profile.watch_until_ms, profile.watch_cause = until, transaction
        return profile
    if held is not None:
        learn(profile, held, rules.data.profile, rules.rates)
    if (held is not None or by_person(label)) and transaction not in profile.released:
        note(profile.released, transaction, MAX_RELEASED)
    if transaction in profile.labelled:
        profile.labelled.remove(transaction)
        profile.frauds = max(profile.frauds - 1, 0)
        _mark_card(profile, card, 0)
    if profile.watch_cause == transaction:
        profile.watch_until_ms, profile.watch_cause = 0, 0
    return profile


def cases_of(profile: Profile | None, transaction_ids: Iterable[str]) -> list[str]:
    """Those of which it is known that they have a case."""
    if profile is None:
        return []
    cases = {sale.transaction for sale in profile.held}.union(
        profile.reviewed, profile.released, profile.labelled
    )
    return [one for one in transaction_ids if id_hash(one) in cases]


def closes_case(profile: Profile | None, label: Label) -> bool:
    """Whether a verdict closes the case, or closes it again: a person's, one of fraud, one of what is still
    held, and one that takes back a fraud."""
    if by_person(label) or label.fraud or ended(profile, label) is not None:
        return True
    number = id_hash(label.transaction_id)
    return not yes_of_customer(label) and verdict_of(profile, number) == "confirmed"


def ended(profile: Profile | None, label: Label) -> Lesson | None:
    """The held sale that a verdict ends, if there is one. A customer who has said "no" cannot end it by a
    "yes", and not by an earlier one that is still on its way either."""
    number = id_hash(label.transaction_id)
    held = profile.held if profile is not None else []
    found = next((sale for sale in held if sale.transaction == number), None)
    denied = found is not None and not found.till
    return None if denied and yes_of_customer(label) else found


def _mark_card(profile: Profile, card: int, mark: int) -> None:
    for i in range(0, len(profile.cards), 3):
        if profile.cards[i] == card:
            profile.cards[i + 2] = mark
