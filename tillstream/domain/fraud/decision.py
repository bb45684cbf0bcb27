"""What a judgement comes to, and all that is needed to explain it."""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["pass", "review", "hold"]


class Reason(msgspec.Struct, frozen=True, gc=False):
    """A rule that fired: its signal's value against its threshold, and the points it gave.

    ``weight`` is the most it can give, ``points`` what it gave.
    """

    code: str
    signal: str
    value: float
    threshold: float
    weight: float
    points: float


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The judgement of one transaction under one rule set; JSON as it stands.

    score: sum of the reasons' points. review_at, hold_at: the thresholds it was held against, lower
    while ``watched``. signals: every measured value by name; one that could not be measured is left
    out. profile: the subject's profile before this transaction, for people to read.
    """

    transaction_id: str
    subject: str | None
    customer_id: str | None
    card_token: str | None
    store: int
    till: int
    region: str
    event_time_ms: int
    judged_at_ms: int
    total_cents: int
    currency: str
    outcome: Outcome
    score: float
    review_at: float
    hold_at: float
    watched: bool
    reasons: tuple[Reason, ...]
    signals: dict[str, float]
    profile: dict[str, float | int | str]
    rules_version: str


class Label(msgspec.Struct, frozen=True, gc=False):
    """A verdict about one transaction: JSON on the topic of labels.

    Ids and times are the transaction's, so that every counter it touched can be found. source: who
    says so, e.g. ``review`` or ``chargeback``. labelled_ms: when it was said.
    """

    transaction_id: str
    fraud: bool
    event_time_ms: int
    labelled_ms: int
    store: int
    till: int
    customer_id: str | None = None
    card_token: str | None = None
    source: str = "review"
