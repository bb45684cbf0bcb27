"""What follows from a judgement: records for people and systems, each with an id of its own.

Made from business ids alone, so a replay makes the same again. No personal data: ids, not names;
amounts in cents of the sale's currency; times in ms since epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from tillstream.domain.fraud.asking import Reply
from tillstream.domain.fraud.decision import Decision, Label, would_hold
from tillstream.domain.fraud.sale import Sale, read_receipt, till_number
from tillstream.domain.notice import Notice, notice

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
TEAM = "team:fraud"

# DynamoDB takes 400 KB an item; what a decision holds besides is bounded by its rule set, some 100 KB.
LONG_BYTES = 100_000

Action = Literal["hold", "release", "decline"]


class Recorded(msgspec.Struct, gc=False):
    """A decision to keep: the columns of the audit on S3, and one hot item for `explain`.

    mode: ``live``, or ``shadow`` for what a rule set beside the live one would have done. reasons:
    codes, joined by commas. till: None where its name, ``till_name``, is no number. decision: the whole
    `Decision` as JSON text; transaction: the canonical transaction, in rows of 0.1.0 contract v1. shadow:
    the shadow set's decision, on the live one. version: when the broker took the sale.
    """

    transaction_id: str
    mode: str
    outcome: str
    score: float
    reasons: str
    rules_version: str
    watched: bool
    subject: str | None
    store: int
    till: int | None
    till_name: str
    region: str
    total_cents: int
    currency: str
    event_time_ms: int
    judged_at_ms: int
    decision: str
    transaction: str
    shadow: str | None
    version: int
    expires_at_s: int


class Hold(msgspec.Struct, gc=False):
    """To the payment system, loyalty and sales: ``hold`` a sale, later ``release`` or ``decline`` it as said.

    hold_id: ``<transaction_id>:hold``, of a release or decline ``<transaction_id>:<action>:<ordered_at_ms>``;
    the same id twice means the same thing once. ordered_at_ms: of a release or decline when the verdict was
    said, so the newest is the last word; a hold is before any of them. customer_id: null for a sale of
    nobody. total_cents, currency and region are in a hold alone, as of this release.
    """

    hold_id: str
    transaction_id: str
    action: Action
    store: int
    till: int | str
    rules_version: str
    event_time_ms: int
    ordered_at_ms: int
    customer_id: str | None = None
    total_cents: int | None = None
    currency: str | None = None
    region: str | None = None


class Case(msgspec.Struct, gc=False):
    """A case for a person, as it is opened. version 1; a verdict is a higher one.

    open: only open cases have it, which puts them into the index of open cases. held: of a hold alone,
    "hold". A sale that is judged again, after a crash, may be a review then: left out, it stays there.
    """

    transaction_id: str
    outcome: str
    score: float
    reasons: str
    rules_version: str
    subject: str | None
    customer_id: str | None
    card_token: str | None
    store: int
    till: int | str
    total_cents: int
    currency: str
    event_time_ms: int
    opened_at_ms: int
    watched_until_ms: int
    expires_at_s: int
    status: str = "open"
    open: str | None = "open"
    version: int = 1
    held: str | msgspec.UnsetType = msgspec.UNSET


class Closed(msgspec.Struct, gc=False):
    """What a verdict changes in a case: ``open`` as null takes it out of the index. ordered: ``release`` or
    ``decline``, where that went to `holds`."""

    transaction_id: str
    status: str
    verdict_source: str
    verdict_at_ms: int
    event_time_ms: int
    version: int
    open: None = None
    ordered: str | msgspec.UnsetType = msgspec.UNSET


def codes(decision: Decision) -> str:
    """The reasons' codes, the weightiest first."""
    by_weight = sorted(decision.reasons, key=lambda reason: -abs(reason.points))
    return ",".join(reason.code for reason in by_weight)


_json = msgspec.json.Encoder().encode


def recorded(
    decision: Decision,
    mode: str,
    transaction: bytes,
    shadow: Decision | None,
    arrived_ms: int,
    keep_days: int,
) -> Recorded:
    """``keep_days`` counts from the broker's time of the sale."""
    return Recorded(
        decision.transaction_id,
        mode,
        decision.outcome,
        round(decision.score, 3),
        codes(decision),
        decision.rules_version,
        decision.watched,
        decision.subject,
        decision.store,
        decision.till if isinstance(decision.till, int) else None,
        str(decision.till),
        decision.region,
        decision.total_cents,
        decision.currency,
        decision.event_time_ms,
        decision.judged_at_ms,
        _json(decision).decode(),
        transaction.decode(errors="replace"),
        None if shadow is None else _json(shadow).decode(),
        arrived_ms,
        (arrived_ms + keep_days * DAY_MS) // 1000,
    )


def explanation_of(kept: Recorded) -> Recorded:
    """What is hot of a decision: all of it, but of a very long basket only what the rules go by, and a
    mark ``cut_from_bytes``. The audit has the rest."""
    came_in = kept.transaction.encode()
    if len(came_in) <= LONG_BYTES:
        return kept
    seen = msgspec.to_builtins(read_receipt(came_in)) | {"cut_from_bytes": len(came_in)}
    return msgspec.structs.replace(kept, transaction=_json(seen).decode())


def case_of(decision: Decision, watch_hours: float, keep_days: int) -> Case:
    until = 0
    if would_hold(decision):
        until = decision.event_time_ms + int(watch_hours * HOUR_MS)
    return Case(
        decision.transaction_id,
        decision.outcome,
        round(decision.score, 3),
        codes(decision),
        decision.rules_version,
        decision.subject,
        decision.customer_id,
        decision.card_token,
        decision.store,
        decision.till,
        decision.total_cents,
        decision.currency,
        decision.event_time_ms,
        decision.judged_at_ms,
        until,
        (decision.judged_at_ms + keep_days * DAY_MS) // 1000,
        held="hold" if decision.outcome == "hold" else msgspec.UNSET,
    )


def hold_of(decision: Decision) -> Hold:
    return Hold(
        f"{decision.transaction_id}:hold",
        decision.transaction_id,
        "hold",
        decision.store,
        decision.till,
        decision.rules_version,
        decision.event_time_ms,
        decision.judged_at_ms,
        decision.customer_id,
        decision.total_cents,
        decision.currency,
        decision.region,
    )


def notices_of(decision: Decision, asked: dict[str, str | int] | None = None) -> list[Notice]:
    """A hold asks the customer and tells the team; a review only tells the team. ``asked``: what the
    customer is sent besides, see `asking.question`."""
    params: dict[str, str | int] = {
        "store": decision.store,
        "total_cents": decision.total_cents,
        "currency": decision.currency,
    }
    made = []
    if decision.outcome == "hold" and decision.customer_id is not None:
        made.append(
            notice(
                "sms",
                f"customer:{decision.customer_id}",
                "fraud-confirm-purchase",
                decision.transaction_id,
                decision.event_time_ms,
                {**params, **(asked or {})},
            )
        )
    told = {**params, "score": round(decision.score), "reasons": codes(decision)}
    template = "fraud-hold" if decision.outcome == "hold" else "fraud-review"
    made.append(
        notice("alert", TEAM, template, decision.transaction_id, decision.event_time_ms, told)
    )
    return made


class Said(msgspec.Struct, gc=False):
    """What a customer has answered, in its case: nothing of the case's own, so it holds up no verdict."""

    transaction_id: str
    customer_said: str
    version: int


class Undone(msgspec.Struct, gc=False):
    """What a till did later to the sale of a case: ``voided`` or ``returned``. It decides nothing."""

    transaction_id: str
    undone: str
    version: int


def undone_by(txn: Sale, transaction_ids: Iterable[str]) -> list[Undone]:
    how = "voided" if txn.kind == "void" else "returned"
    at_ms = min(txn.event_time_ms, txn.arrived_ms)
    return [Undone(one, how, at_ms) for one in transaction_ids]


def told_of(reply: Reply, why: str, arrived_ms: int) -> Notice:
    """To the team: a person decides. Each reason is told once, so it is in the cause."""
    params: dict[str, str | int] = {
        "transaction_id": reply.transaction_id,
        "answer": reply.answer,
        "why": why,
    }
    cause = f"{reply.transaction_id}:{why}"
    return notice("alert", TEAM, f"fraud-answer-{reply.answer}", cause, arrived_ms, params)


def closed_by(verdict: Label, order: Hold | None) -> Closed:
    """``order``: the end of the hold that goes out with it, None without one."""
    return Closed(
        verdict.transaction_id,
        "confirmed" if verdict.fraud else "released",
        verdict.source,
        verdict.labelled_ms,
        verdict.event_time_ms,
        max(verdict.labelled_ms, 2),
        ordered=msgspec.UNSET if order is None else order.action,
    )


def ended_by(verdict: Label, rules_version: str) -> Hold:
    """The end of a hold."""
    action: Action = "decline" if verdict.fraud else "release"
    return Hold(
        f"{verdict.transaction_id}:{action}:{verdict.labelled_ms}",
        verdict.transaction_id,
        action,
        verdict.store,
        till_number(verdict.till),
        rules_version,
        verdict.event_time_ms,
        verdict.labelled_ms,
        verdict.customer_id,
    )
