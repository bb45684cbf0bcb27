"""What a store's manager hears of all shelves together: which sell and were never counted, and what came too
late to be applied.

Shelves say it of themselves, as `ShelfNews`: of a shelf without a count with its first line of each local
day, and whenever what it sold on that day has doubled, so a busy shelf says it a dozen times a day and a
counted one never. A day is told once, at a local hour of the next; a document that came too late is told at
once. A store that no document may name can have no count, and hears of none. What is kept is bounded:
numbers and the best sellers of two days, and the last documents.
"""

from __future__ import annotations

import re
from datetime import date

import msgspec

from tillstream.domain.documents import SHELF_PRODUCT
from tillstream.domain.local_time import UTC, day_and_time, offset_ms
from tillstream.domain.notice import notice
from tillstream.domain.stock.actions import Action
from tillstream.domain.stock.ledger import ABSOLUTE, DAY_MS, FIRST_CENTRE, HOUR_MS, Line, Stock
from tillstream.domain.stock.movement import LAST_STORE

KEPT = 100  # best sellers; more than are named, for some of them get counted
NAMED = 20
DAYS = 2
DOCUMENTS = 64
_can_be_counted = re.compile(SHELF_PRODUCT).fullmatch
_EPOCH = date(1970, 1, 1).toordinal()


class ShelfNews(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """What a shelf tells its store. ``sold``, of one that was never counted: so much on this local day (days
    since the epoch) by now, in thousandths; ``first``: its first line of the day. ``counted``: it is now.
    ``late``: a line was too late; of which document, if it was not a till's, its kind and time."""

    kind: str
    product: str
    day: int
    milli: int = 0
    first: bool = False
    document_id: str = ""
    document_kind: str = ""
    at_ms: int = 0


class Seller(msgspec.Struct, array_like=True, gc=False):
    """A product that was never counted, and what it sold on the day, in thousandths."""

    product: str
    milli: int


class Day(msgspec.Struct, array_like=True):
    """A local day. shelves: how many without a count had a line; top: the best sellers of them. late: so
    many lines of tills came too late."""

    day: int
    shelves: int = 0
    top: list[Seller] = []
    late: int = 0


class StoreDays(msgspec.Struct, array_like=True):
    """The days of a store that were not told yet, the oldest first. told_day: the last one that was.
    documents: the last that came too late, by which a second line of one is known."""

    days: list[Day] = []
    told_day: int = -1
    documents: list[str] = []


class ReportRules(msgspec.Struct, frozen=True, gc=False):
    """hour: of the local day after, when a day is told."""

    hour: int = 6
    zone: str = UTC

    def at(self, zone: str) -> ReportRules:
        """The same by the clocks of ``zone``."""
        return msgspec.structs.replace(self, zone=zone)


def sold(stock: Stock, line: Line, began: bool, before: int) -> list[Action]:
    """What a traded line of a shelf makes known. ``began``: it is the first of its day; ``before``: what the
    day had sold before it."""
    units = stock.demand.hours[0]
    if stock.count_ms >= 0 or line.store > LAST_STORE:
        return []
    if not began and units.bit_length() == before.bit_length():
        return []
    if not _can_be_counted(line.product):
        return []  # no document can name it
    milli = units * 1000 if line.unit in (None, "each") else units
    return [_news(line.store, ShelfNews("sold", line.product, stock.demand.day, milli, began))]


def counted(stock: Stock, line: Line) -> list[Action]:
    """The first count of a shelf takes it off the list."""
    if stock.demand.day < 0 or line.store > LAST_STORE:
        return []
    return [_news(line.store, ShelfNews("counted", line.product, stock.demand.day))]


def too_late(line: Line, day: int) -> list[Action]:
    """What a line without effect makes known. ``day``: the local day on which it came."""
    if LAST_STORE < line.store < FIRST_CENTRE:
        return []
    document = line.line_id.startswith("M:")
    news = ShelfNews(
        "late", line.product, day,
        document_id=line.line_id[2:].rpartition("/")[0] if document else "",
        document_kind=line.kind if document else "",
        at_ms=line.event_time_ms,
    )  # fmt: skip
    return [_news(line.store, news)]


def _news(store: int, news: ShelfNews) -> Action:
    return Action("stores", str(store), news)


def on_news(
    state: StoreDays | None, store: int, news: ShelfNews, now_ms: int, rules: ReportRules
) -> tuple[StoreDays | None, list[Action], int | None]:
    """(the store after it, or None if nothing changed; actions; when to wake it, if at all). A day that is
    long over, as in a replay, is told to nobody."""
    state = state or StoreDays()
    if news.document_id:
        if news.document_id in state.documents:
            return None, [], None
        state.documents = [*state.documents, news.document_id][-DOCUMENTS:]
        return state, [_document_told(store, news, rules.zone)], None
    if news.day <= state.told_day:
        return None, [], None
    day = next((one for one in state.days if one.day == news.day), None)
    if news.kind == "counted":
        return (state if _leave(state, news) else None), [], None
    wake_at = None
    if day is None:
        day = Day(news.day)
        state.days = sorted([*state.days, day], key=lambda one: one.day)[-DAYS:]
        due_ms = told_ms(news.day, rules)
        if now_ms < due_ms + DAY_MS:
            # Behind its hour the job is catching up: not before it has had time to.
            wake_at = due_ms if now_ms < due_ms else now_ms + HOUR_MS
    if news.kind == "late":
        day.late += 1
        return state, [], wake_at
    day.shelves += news.first
    day.top = [one for one in day.top if one.product != news.product]
    day.top.append(Seller(news.product, news.milli))
    day.top.sort(key=lambda one: (-one.milli, one.product))
    del day.top[KEPT:]
    return state, [], wake_at


def _leave(state: StoreDays, news: ShelfNews) -> bool:
    """Whether the shelf was on a list, which it has left now."""
    changed = False
    for day in state.days:
        left = [one for one in day.top if one.product != news.product]
        if day.day == news.day or len(left) < len(day.top):
            day.shelves, day.top, changed = max(day.shelves - 1, 0), left, True
    return changed


def on_report(
    state: StoreDays, store: int, now_ms: int, rules: ReportRules
) -> tuple[StoreDays, list[Action]]:
    """Tells what is due, a notice for each day, and forgets it."""
    actions = []
    for day in [one for one in state.days if told_ms(one.day, rules) <= now_ms]:
        state.days.remove(day)
        state.told_day = max(state.told_day, day.day)
        due_ms = told_ms(day.day, rules)
        if now_ms < due_ms + DAY_MS:
            actions += _told(store, day, due_ms)
    return state, actions


def told_ms(day: int, rules: ReportRules) -> int:
    """When a local day is told (UTC)."""
    local_ms = (day + 1) * DAY_MS + rules.hour * HOUR_MS
    return local_ms - offset_ms(rules.zone, local_ms - offset_ms(rules.zone, local_ms))


def count_behind(
    store: int, document_id: str, at_ms: int, arrived_ms: int, behind_ms: int, zone: str
) -> list[Action]:
    """A count that came more than ``behind_ms`` after its own time is applied at that time, if it still can
    be: the store hears of it, for the clock that it was made by may be wrong. ``zone``: the store's."""
    if arrived_ms - at_ms <= behind_ms:
        return []
    params: dict[str, str | int] = {
        "document_id": document_id,
        "counted_at": day_and_time(zone, at_ms),
        "came_at": day_and_time(zone, arrived_ms),
        "fix": "if the clock was wrong, set it and count again under another document_id",
    }
    return [_alert(store, "count_behind", document_id, at_ms, params)]


def _told(store: int, day: Day, at_ms: int) -> list[Action]:
    when = date.fromordinal(day.day + _EPOCH).isoformat()
    actions = []
    if day.shelves:
        named = ", ".join(one.product for one in day.top[:NAMED])
        params: dict[str, str | int] = {"day": when, "shelves": day.shelves, "products": named}
        actions.append(_alert(store, "never_counted", f"{store}-{when}", at_ms, params))
    if day.late:
        params = {"day": when, "lines": day.late, "fix": "count what these tills sold"}
        actions.append(_alert(store, "sales_too_late", f"{store}-{when}", at_ms, params))
    return actions


def _document_told(store: int, news: ShelfNews, zone: str) -> Action:
    again = news.document_kind in ABSOLUTE
    params: dict[str, str | int] = {
        "document_id": news.document_id,
        "kind": news.document_kind,
        "at": day_and_time(zone, news.at_ms),
        "fix": "count again under another document_id" if again else "count its products",
    }
    return _alert(store, "document_too_late", news.document_id, news.at_ms, params)


def _alert(
    store: int, template: str, cause: str, at_ms: int, params: dict[str, str | int]
) -> Action:
    recipient = f"store:{store}"
    told = notice("alert", recipient, template, cause, at_ms, params)
    return Action("notices", recipient, told)
