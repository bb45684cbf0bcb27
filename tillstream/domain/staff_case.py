"""What stands out at a cashier, against what is usual in the store: a case for people, told once.

The store knows what its cashiers' days come to and what was told before, so it decides. See `staff`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import msgspec

from tillstream.domain.fraud.counters import id_hash
from tillstream.domain.local_time import DAY_MS
from tillstream.domain.notice import Notice, notice
from tillstream.domain.staff import (
    CARDS,
    KINDS,
    LOYALTY,
    ROW,
    Finding,
    Limits,
    cards_stand_out,
    rows_of,
    stands_out,
    usual_day,
)

MAX_STORE_DAYS = 64
MAX_TOLD = 64
FEWEST_OF_STORE = 8  # days before one can say what is usual
TEAM = "team:loss-prevention"


class StoreBook(msgspec.Struct, array_like=True, gc=False):
    """State of a store. days: of its cashiers, rows as in `Book`, in the order in which they ended. told:
    hashes of the latest cases, and what each came to when it was last told."""

    days: list[int]
    told: dict[int, int]


class StaffCase(msgspec.Struct, gc=False):
    """A case for the loss-prevention team, JSON. case_id: ``<code>:<store>:<day>:<cashier or till>``.
    figures: JSON text, what it is about. transaction_id: the newest. version: its event time (ms UTC).
    status, open: only as it is opened, for a person may have closed it since."""

    case_id: str
    kind: str
    code: str
    store: int
    till: str
    cashier: str
    day: str
    figures: str
    currency: str
    transaction_id: str
    event_time_ms: int
    opened_at_ms: int
    expires_at_s: int
    version: int
    status: str | msgspec.UnsetType = "open"
    open: str | msgspec.UnsetType = "open"


def weigh_finding(
    book: StoreBook | None, finding: Finding, limits: Limits, keep_days: int
) -> tuple[StoreBook, StaffCase | None, Notice | None]:
    """A finding against the store's usual cashier's day: its case, and the notice when it is opened."""
    book = book or StoreBook([], {})
    if finding.closed:
        book.days += finding.closed
        del book.days[: -MAX_STORE_DAYS * ROW]
        return book, None, None
    figures = dict(finding.figures)
    if finding.code != LOYALTY and id_hash(_case_id(finding, finding.day - 1)) in book.told:
        # Of yesterday's there is a case already, so only what is today's counts.
        for what, most in zip(("count", "cents"), finding.today, strict=True):
            for name in figures.keys() & {f"hour_{what}", f"day_{what}"}:
                figures[name] = min(figures[name], most)
    if finding.code == CARDS and not cards_stand_out(
        figures["day_count"], figures["day_cents"], limits
    ):
        return book, None, None
    if finding.code in KINDS:
        at, limit = KINDS.index(finding.code), getattr(limits, finding.code)
        usual = usual_day(rows_of(book.days), at, FEWEST_OF_STORE)
        if usual is not None:
            figures["store_usual_day_cents"] = usual
        if not stands_out(figures, limit):
            return book, None, None
    much = figures["baskets" if finding.code == LOYALTY else "day_cents"]
    number = id_hash(_case_id(finding, finding.day))
    before = book.told.get(number)
    if before is not None and 4 * much < 5 * before:
        return book, None, None
    book.told.pop(number, None)
    book.told[number] = much
    if len(book.told) > MAX_TOLD:
        del book.told[next(iter(book.told))]
    made = _case(finding, figures, keep_days)
    if before is None:
        return book, made, _notice(made, figures)
    made.status = made.open = msgspec.UNSET
    return book, made, None


def _case_id(finding: Finding, day: int) -> str:
    act = finding.act
    return f"{finding.code}:{act.store}:{_date(day)}:{act.cashier or f'till-{act.till}'}"


def _case(finding: Finding, figures: Mapping[str, int], keep_days: int) -> StaffCase:
    act, code = finding.act, finding.code
    said: dict[str, int | str] = dict(figures)
    if code == LOYALTY:
        said["customer_id"] = act.customer
    if code == CARDS:
        said["card_token"] = act.card
    return StaffCase(
        _case_id(finding, finding.day),
        "staff",
        code,
        act.store,
        act.till,
        act.cashier,
        _date(finding.day),
        msgspec.json.encode(said).decode(),
        act.currency,
        act.transaction_id,
        act.at_ms,
        act.at_ms,
        (act.at_ms + keep_days * DAY_MS) // 1000,
        act.at_ms,
    )


def _notice(case: StaffCase, figures: Mapping[str, int]) -> Notice:
    """Without the cashier and the customer: who may see the case sees them there. So its cause has a hash of
    who it was, in place of the case's id."""
    params: dict[str, str | int] = {"store": case.store, "currency": case.currency, **figures}
    template = f"staff-{case.code}"
    cause = f"{case.code}:{case.store}:{case.day}:{id_hash(case.case_id):08x}"
    return notice("alert", TEAM, template, cause, case.event_time_ms, params)


def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
