"""Money given back at a till, and loyalty numbers shown at it: what a cashier does, against what is usual.

Two small stages. By cashier (`observe_act`): returns, voids and price overrides of an hour, of 24 hours and
of the days before, and how often one loyalty number came today. Each act by which that stands out goes on to
the store (`staff_case.weigh_finding`), which knows what its cashiers' days usually come to and what was told
before. So the store decides what is a case for people. Nothing is held, nobody is texted, and no customer's
profile learns of it.

Amounts are in the grocer's currency. No clock, no engine, everything bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from statistics import median
from typing import Literal

import msgspec

from tillstream.domain.fraud.counters import Refund, count, id_hash
from tillstream.domain.fraud.places import Places
from tillstream.domain.fraud.sale import Sale, terminal
from tillstream.domain.local_time import DAY_MS, UTC, offset_ms
from tillstream.domain.rates import Rates
from tillstream.domain.receipt.reading import reader

Kind = Literal["returns", "voids", "overrides"]
KINDS: tuple[Kind, ...] = ("returns", "voids", "overrides")
LOYALTY = "loyalty"
CARDS = "cards"  # money given back to cards that did not buy
ROW = 1 + 2 * len(KINDS)  # of a day: its number, then how many and how much of each kind
MAX_DAYS = 28
MAX_RECENT = 64
MAX_NUMBERS = 24  # loyalty numbers of a day that are counted
MAX_REFUNDS = 64  # to cards that did not buy
FEWEST_OWN = 3  # days before one can say what is usual
_TOLD = len(KINDS) + 1  # numbers in `Book.told`
_REFUND = 4  # numbers of a refund in `Book.cards`
_HOUR, _DAY = 4, 6  # places in what `count` gives


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many and how much together stand out within an hour, or within 24. times: the 24 hours must also
    be so many times an own usual day, and a usual day of the store's cashiers, where those are known."""

    hour_count: int
    hour_cents: int
    day_count: int
    day_cents: int
    times: float


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """loyalty_count, loyalty_percent: baskets of one loyalty number at one cashier in a day, and of all
    baskets there that had one. cards_count, cards_cents: refunds of 24 hours to cards that did not buy."""

    returns: Limit
    voids: Limit
    overrides: Limit
    loyalty_count: int
    loyalty_percent: int
    cards_count: int
    cards_cents: int


class Act(msgspec.Struct, frozen=True, gc=False):
    """What the stage by cashier needs of a receipt. cashier: "" where nobody says, then it is the till.
    amounts: how many and how much of each of KINDS. customer: of a sale, "" without a number or cashier.
    to_card: money given back to ``card``, which did not buy; -1 where that refund was voided, 0 for every
    other act. by: where such an act is the till's, not the cashier's, who did it."""

    transaction_id: str
    store: int
    till: str
    cashier: str
    at_ms: int
    currency: str
    amounts: tuple[int, ...] = (0,) * (2 * len(KINDS))
    customer: str = ""
    to_card: int = 0
    card: str = ""
    by: str = ""


class Book(msgspec.Struct, array_like=True, gc=False):
    """State of a cashier. windows: of each of KINDS, see counters. day: the newest, by the store's clock.
    days: rows of ROW numbers, the newest last, none for a till's acts `by` a cashier. baskets: of that day
    with a loyalty number. numbers: ``[hash, count, ...]`` of the most frequent. told: its last number is how
    many baskets of one number were told that day; those before it, one for each of KINDS, are of earlier
    releases. recent: acts seen last. cards: ``[hash, who, time, cents, ...]`` of the latest refunds to cards
    that did not buy; who is the hash of `Act.by`, 0 without."""

    windows: list[list[list[int]]]
    day: int
    days: list[int]
    baskets: int
    numbers: list[int]
    told: list[int]
    recent: list[int]
    cards: list[int] = []


class Finding(msgspec.Struct, frozen=True, gc=False):
    """What stands out at a cashier. figures: by name, whole numbers. today: how many and how much of that
    is of ``day``. closed: a day that ended, instead."""

    act: Act
    day: int
    code: str = ""
    figures: dict[str, int] = {}
    closed: tuple[int, ...] = ()
    today: tuple[int, ...] = (0, 0)


class _Line(msgspec.Struct, frozen=True, gc=False):
    kind: str
    paid: int
    thousandths: int = 1000
    list_price: int | None = None
    off: int = 0
    reason: str = ""


class _Lines(msgspec.Struct, frozen=True, gc=False):
    lines: tuple[_Line, ...]


_lines = reader(_Lines)


def act_of(sale: Sale, raw: bytes, rates: Rates) -> Act | None:
    """What a receipt says of its cashier, None if nothing. ``raw``: its canonical JSON.

    A return is a receipt with return lines, in a shop; a void is a whole receipt undone; an override is a
    line sold for another price than the list's for a reason the till asked for, and worth the difference.
    Lines that a till struck out have no amount, so they are not counted.
    """
    if not sale.there:
        return None
    at_ms = min(sale.event_time_ms, sale.arrived_ms)
    amounts = [0] * (2 * len(KINDS))
    if sale.kind == "void":
        amounts[2:4] = 1, sale.total_cents
    else:
        # A look in C first: most receipts have neither.
        if b'"return"' in raw:
            back = -sum(line.paid for line in sale.lines if line.kind == "return")
            if back > 0:
                amounts[0:2] = 1, back
        if b'"reason"' in raw:
            given = [
                _given(line) for line in _lines(raw).lines if line.kind == "sale" and line.reason
            ]
            amounts[4:6] = len(given), sum(given)
    customer = sale.customer_id if sale.kind == "sale" and sale.cashier else None
    if not customer and not any(amounts):
        return None
    for place in (1, 3, 5):
        own = (
            rates.convert(amounts[place], sale.currency, rates.own, at_ms) if amounts[place] else 0
        )
        amounts[place] = own or 0
    return Act(
        sale.transaction_id, sale.store, sale.till, sale.cashier, at_ms, rates.own, tuple(amounts),
        customer or "",
    )  # fmt: skip


def acts_of_refund(refund: Refund, transaction_id: str, card: str, currency: str) -> list[Act]:
    """Of money in the grocer's ``currency`` that went to a card that did not buy: the cashier's act, and
    where one is named the till's too. None of an order from home."""
    if not refund.till:
        return []
    one = Act(
        transaction_id, refund.store, refund.till, refund.cashier, refund.at_ms, currency,
        to_card=refund.cents, card=card,
    )  # fmt: skip
    if not refund.cashier:
        return [one]
    return [one, msgspec.structs.replace(one, cashier="", by=refund.cashier)]


def acts_undone(acts: list[Act]) -> list[Act]:
    """Those of `acts_of_refund`, taken back."""
    return [msgspec.structs.replace(act, to_card=-1) for act in acts]


def _given(line: _Line) -> int:
    """By how much a line went below its list price."""
    asked = line.list_price or 0
    return max(asked * line.thousandths // 1000 - line.paid - line.off, 0)


def cashier_key(act: Act) -> str:
    """``23/C-17``; the till's where no cashier is known."""
    return f"{act.store}/{act.cashier}" if act.cashier else f"~{terminal(act.store, act.till)}"


def local_day(act: Act, places: Places) -> int:
    """By the store's own clock, since 1970."""
    return _day(act.store, act.at_ms, places)


def _day(store: int, at_ms: int, places: Places) -> int:
    place = places.get(store)
    return (at_ms + offset_ms(place.zone if place else UTC, at_ms)) // DAY_MS


def observe_act(
    book: Book | None, act: Act, limits: Limits, places: Places
) -> tuple[Book, list[Finding]]:
    """Takes in an act, in place: the book, and what goes on to the store. A repeat changes nothing."""
    if book is None:
        book = Book([[[], [], [], []] for _ in KINDS], 0, [], 0, [], [0] * _TOLD, [])
    # Of one refund there are two acts: what came back, and to whom the money went.
    number = id_hash(f"{act.transaction_id}/card" if act.to_card else act.transaction_id)
    if act.to_card < 0:
        _forget_card(book, number)
        return book, []
    if number in book.recent:
        return book, []
    book.recent.append(number)
    del book.recent[:-MAX_RECENT]
    found, day = [], local_day(act, places)
    if day > book.day:
        book.day, book.baskets, book.numbers, book.told = day, 0, [], [0] * _TOLD
    # What a named cashier did is in a day of theirs: at the till it would be a day of nothing.
    if not act.by and (not book.days or day > book.days[-ROW]):
        if book.days:
            found.append(Finding(act, book.days[-ROW], closed=tuple(book.days[-ROW:])))
        book.days += (day, *[0] * (ROW - 1))
        del book.days[: -MAX_DAYS * ROW]
    _add_to_day(book.days, day, act.amounts)
    for at, kind in enumerate(KINDS):
        if act.amounts[2 * at]:
            found += _of_kind(book, at, kind, act, day, getattr(limits, kind))
    if act.to_card:
        found += _of_cards(book, act, number, day, limits, places)
    if act.customer and day == book.day:
        found += _of_loyalty(book, act, day, limits)
    return book, found


def _add_to_day(days: list[int], day: int, amounts: tuple[int, ...]) -> None:
    for at in range(len(days) - ROW, -1, -ROW):
        if days[at] == day:
            for n, more in enumerate(amounts, at + 1):
                days[n] += more
            return


def _of_kind(book: Book, at: int, kind: Kind, act: Act, day: int, limit: Limit) -> list[Finding]:
    cents = act.amounts[2 * at + 1]
    seen = count(book.windows[at], act.at_ms, cents)
    hour_n, hour_cents = seen[_HOUR : _HOUR + 2]
    day_n, day_cents = seen[_DAY : _DAY + 2]
    usual = usual_day([row for row in rows_of(book.days) if row[0] < book.day], at, FEWEST_OWN)
    today = next((row for row in rows_of(book.days) if row[0] == day), [0] * ROW)
    figures = {
        "hour_count": hour_n,
        "hour_cents": hour_cents,
        "day_count": day_n,
        "day_cents": day_cents,
    }
    if usual is not None:
        figures["own_usual_day_cents"] = usual
    if not stands_out(figures, limit):
        return []
    return [Finding(act, day, kind, figures, today=tuple(today[2 * at + 1 : 2 * at + 3]))]


def stands_out(figures: Mapping[str, int], limit: Limit) -> bool:
    """``figures`` of a kind; what is usual only where it is known."""
    much = (
        figures["hour_count"] >= limit.hour_count and figures["hour_cents"] >= limit.hour_cents
    ) or (figures["day_count"] >= limit.day_count and figures["day_cents"] >= limit.day_cents)
    usual = max(figures.get("own_usual_day_cents", 0), figures.get("store_usual_day_cents", 0))
    return much and figures["day_cents"] >= limit.times * usual


def _of_loyalty(book: Book, act: Act, day: int, limits: Limits) -> list[Finding]:
    """The most frequent numbers by J. Misra and D. Gries (Finding repeated elements, 1982): a count is
    never too high, and too low by at most a 25th of the day's baskets."""
    book.baskets += 1
    numbers, who = book.numbers, id_hash(act.customer)
    for at in range(0, len(numbers), 2):
        if numbers[at] == who:
            numbers[at + 1] += 1
            baskets = numbers[at + 1]
            break
    else:
        if len(numbers) < 2 * MAX_NUMBERS:
            numbers += (who, 1)
        else:
            left = [(n, c - 1) for n, c in zip(numbers[0::2], numbers[1::2], strict=True) if c > 1]
            numbers[:] = [value for pair in left for value in pair]
        return []
    told = len(KINDS)
    share = 100 * baskets // book.baskets
    if baskets < max(limits.loyalty_count, 2 * book.told[told]) or share < limits.loyalty_percent:
        return []
    book.told[told] = baskets
    figures = {"baskets": baskets, "baskets_with_a_number": book.baskets, "percent": share}
    return [Finding(act, day, LOYALTY, figures)]


def _of_cards(
    book: Book, act: Act, number: int, day: int, limits: Limits, places: Places
) -> list[Finding]:
    """Few honest people are paid back to another card, so no usual day is needed. Of a till that cashiers
    share, the one with most is left out: that one is found by the cashier's own."""
    book.cards += (number, id_hash(act.by) if act.by else 0, act.at_ms, act.to_card)
    del book.cards[: -MAX_REFUNDS * _REFUND]
    newest_ms = max(book.cards[2::_REFUND])
    rows = [
        book.cards[at : at + _REFUND]
        for at in range(0, len(book.cards), _REFUND)
        if newest_ms - book.cards[at + 2] < DAY_MS
    ]
    by = Counter(who for _, who, _, _ in rows if who)
    if by:
        most = by.most_common(1)[0][0]
        rows = [row for row in rows if row[1] != most]
    n, cents = len(rows), sum(row[3] for row in rows)
    if not cards_stand_out(n, cents, limits):
        return []
    own = [row[3] for row in rows if _day(act.store, row[2], places) == day]
    figures = {"day_count": n, "day_cents": cents}
    return [Finding(act, day, CARDS, figures, today=(len(own), sum(own)))]


def _forget_card(book: Book, number: int) -> None:
    for at in range(0, len(book.cards), _REFUND):
        if book.cards[at] == number:
            del book.cards[at : at + _REFUND]
            return


def cards_stand_out(n: int, cents: int, limits: Limits) -> bool:
    return n >= limits.cards_count and cents >= limits.cards_cents


def rows_of(days: list[int]) -> list[list[int]]:
    return [days[at : at + ROW] for at in range(0, len(days), ROW)]


def usual_day(rows: list[list[int]], at: int, fewest: int) -> int | None:
    """The middle one of what days came to; None of too few."""
    return int(median(row[2 * at + 2] for row in rows)) if len(rows) >= fewest else None
