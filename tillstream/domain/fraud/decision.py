"""What a judgement comes to, and all that is needed to explain it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tillstream.domain.documents import CardToken, Ms, decode
from tillstream.domain.fraud.sale import MOST_TILL_DIGITS
from tillstream.domain.receipt.contract import Id

TOO_LATE = "too_late_to_hold"  # a reason: it would have been held
Outcome = Literal["pass", "review", "hold"]
StoreNumber = Annotated[int, Meta(ge=1, le=2**31 - 1)]
TillNumber = Annotated[int, Meta(ge=1, lt=10**MOST_TILL_DIGITS)]


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

    till: a number, or its name where that is none (`till_number`).
    score: sum of the reasons' points. review_at, hold_at: the thresholds it was held against, lower
    while ``watched``. signals: every measured value by name; one that could not be measured is left
    out. profile: the subject's profile before this transaction, for people to read. notes: what else one
    has to know, as ``no_rate:XAF``.
    """

    transaction_id: str
    subject: str | None
    customer_id: str | None
    card_token: str | None
    store: int
    till: int | str
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
    notes: tuple[str, ...] = ()


def would_hold(decision: Decision) -> bool:
    """Whether it is held, or would be if it had come in time."""
    late = decision.outcome == "review" and any(r.code == TOO_LATE for r in decision.reasons)
    return late or decision.outcome == "hold"


class Label(msgspec.Struct, frozen=True, gc=False):
    """A verdict about one transaction: JSON on the topic of labels.

    Ids and times are the transaction's, so that every counter it touched can be found: the till 4 is
    the till "4", and not "04". source: who says so, e.g. ``review`` or ``chargeback``. labelled_ms: when
    it was said.
    """

    transaction_id: Id
    fraud: bool
    event_time_ms: Ms
    labelled_ms: Ms
    store: StoreNumber
    till: TillNumber | Id
    customer_id: Id | None = None
    card_token: CardToken | None = None
    source: Annotated[str, Meta(pattern=r"^[a-z][a-z_-]{0,31}\Z")] = "review"


def yes_of_customer(label: Label) -> bool:
    """Whether it is a customer's "yes": that releases what is held, and takes back no verdict. It may be read
    after a person's "confirm" that came later, for an answer has a shorter way than a verdict."""
    return label.source == "customer" and not label.fraud


def by_person(label: Label) -> bool:
    """Whether a person of the team has decided about a case."""
    return label.source in ("hold", "review")


def parse_label(raw: bytes) -> Label:
    """A null is as good as an absent field, as banks' files have it. Raises InvalidTransaction, and
    nothing else."""
    return decode(raw, Label, nulls=True)
