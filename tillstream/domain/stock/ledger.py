"""Stock of one product in one store: a pure rule from (stock, line) to (stock, ledger entry).

Quantities are whole numbers, of pieces or of thousandths of what is weighed or measured; times are ms since
the epoch in UTC. The rule never looks at a clock. The level is what the latest count found and what has moved
since, both by event time:

    level = pieces of the latest count + sum of the movements with a later event time

so the order in which lines arrive makes no difference to it. docs/jobs/inventory.md says what does.
"""

from __future__ import annotations

import msgspec

from tillstream.domain.demand.model import Demand, DemandRules, new
from tillstream.domain.promotions.promotion import Promotion
from tillstream.domain.stock import recent_lines
from tillstream.domain.stock.recent_lines import Recent

BY_THE_DAY = DemandRules(hourly=False)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FIRST_CENTRE = 9001
UNKNOWN_MS = 2**62  # an arrival that nobody has said

INBOUND = frozenset({"delivery", "transfer_in", "refund", "void"})
OUTBOUND = frozenset({"sale", "transfer_out", "write_off", "allocation"})
MOVES = INBOUND | OUTBOUND
BRINGS_BACK = frozenset({"refund", "void"})
ABSOLUTE = frozenset({"count", "correction"})


class StockRules(msgspec.Struct, frozen=True, gc=False):
    """horizon_ms: how long before the newest line of a product a line may come; max_lines: at most so
    many are remembered for each product and store."""

    horizon_ms: int = 192 * HOUR_MS
    max_lines: int = 12_000


class Line(msgspec.Struct, array_like=True, gc=False):
    """One line that moves stock, whatever document it stood on. ``quantity`` is signed: what the line
    adds to the level, or for a count and a plan, the pieces themselves. arrived_ms: when the broker
    took it; a clock that is ahead of that moves no horizon. unit: ``each``, or of what ``quantity`` has
    thousandths; None where the document does not say it, for it counts as the shelf does. undoes: the
    line that a void of contract v1 undoes: its quantity is as of a sale, whatever that was."""

    kind: str
    line_id: str
    store: int
    product: str
    quantity: int
    event_time_ms: int
    order_id: str | None = None
    arrived_ms: int = UNKNOWN_MS
    unit: str | None = None
    undoes: str | None = None


class OpenOrder(msgspec.Struct, array_like=True, gc=False):
    """Ordered, not yet delivered."""

    order_id: str
    quantity: int
    ordered_ms: int


class Stock(msgspec.Struct, array_like=True):
    """``version`` counts ledger entries; a newer version is a newer truth.

    count_ms, count_id: event time and line of the latest count (-1: never counted). newest_ms: of
    all lines. low, below_zero: such an episode is open; lows, belows, orders: how many there were.
    plan: pieces the shelf is planned to hold (0: no plan). reorder_point: -1 while too little is
    known to order; order_up_to: what it is filled up to; daily_milli: thousandths of a piece expected
    a day, without promotions; terms_until_ms: when a promotion changes these; no_order_before_ms:
    nobody had it, so it is not asked for again before.
    """

    version: int = 0
    level: int = 0
    count_ms: int = -1
    count_id: str = ""
    newest_ms: int = 0
    recent: Recent = msgspec.field(default_factory=Recent)
    low: bool = False
    below_zero: bool = False
    lows: int = 0
    belows: int = 0
    orders: int = 0
    plan: int = 0
    reorder_point: int = -1
    order_up_to: int = 0
    daily_milli: int = 0
    terms_until_ms: int = 2**62
    no_order_before_ms: int = 0
    demand: Demand = msgspec.field(default_factory=lambda: new(BY_THE_DAY))
    open_orders: list[OpenOrder] = []
    promotions: list[Promotion] = []

    @property
    def on_order(self) -> int:
        return sum([order.quantity for order in self.open_orders])


class Entry(msgspec.Struct, gc=False, omit_defaults=True):
    """One line of the append-only stock ledger; the columns of the ledger on S3.

    entry_id: of the line. quantity: what the line says; moved: what it did to the level here and now.
    outcome: ``posted``, ``counted``, ``before_count`` (a later count knows of it already),
    ``superseded`` (a count older than the latest), ``too_late`` (cannot be told from a duplicate any
    more: no effect), ``noted`` (moves no stock). behind_ms: how much older it is than the newest line
    seen before. run_out_ms: when the level would be used up at the learnt demand; None without one.
    unit: of a till's line, ``each`` or a unit that is counted by its thousandths; None of others, which
    are in the same. counted_ms: event time of the latest count, -1 before there was one; None where the
    release before wrote it.
    """

    entry_id: str
    stock_key: str
    store: int
    product: str
    version: int
    kind: str
    outcome: str
    quantity: int
    moved: int
    old_quantity: int
    new_quantity: int
    event_time_ms: int
    behind_ms: int
    below_zero: bool
    low: bool
    reorder_point: int
    order_up_to: int
    on_order: int
    daily_demand_milli: int
    uplift_percent: int
    run_out_ms: int | None
    open_orders: str
    mark: str
    unit: str | None = None
    counted_ms: int | None = None


def mark(version: int, level: int) -> str:
    """What our own writes to the hot table carry, so that anyone else's change shows."""
    return f"tillstream:{version}:{level}"


class Moved(msgspec.Struct, gc=False):
    """What a line did, before anything is decided upon it."""

    outcome: str
    old_level: int
    behind_ms: int


def move(stock: Stock, line: Line, rules: StockRules) -> Moved | None:
    """Applies ``line`` to the level of ``stock``, in place; None for a duplicate, which changes nothing.

    A void moves the other way than the line that it undoes. One of contract v1 does not say which way that
    is: its ``quantity`` is set by what is known here, and where the void came first, turned when that line
    comes.
    """
    event_ms, recent, old = line.event_time_ms, stock.recent, stock.level
    fingerprint = recent_lines.fingerprint(line.line_id)
    if recent_lines.holds(recent, fingerprint):
        return None
    behind = max(stock.newest_ms - event_ms, 0)
    if behind > rules.horizon_ms or event_ms <= recent.floor_ms:
        return Moved("too_late", old, behind)
    moves = line.kind in MOVES
    undoes = None
    if line.undoes is not None:
        undoes = recent_lines.fingerprint(line.undoes)
        pieces, brought = abs(line.quantity), recent_lines.moved_by(recent, undoes) > 0
        line.quantity = -pieces if brought else pieces
    moved = line.quantity if moves else 0
    recent_lines.add(recent, fingerprint, event_ms, moved, rules.horizon_ms, undoes)
    if line.kind in ABSOLUTE:
        outcome = _count(stock, line)
    elif not moves:
        outcome = "noted"
    elif event_ms <= stock.count_ms:
        outcome = "before_count"
    else:
        stock.level += moved
        outcome = "posted"
    if moved > 0 and line.kind in BRINGS_BACK:
        stock.level += recent_lines.turn(recent, fingerprint, moved, stock.count_ms)
    stock.newest_ms = max(stock.newest_ms, min(event_ms, line.arrived_ms))
    recent_lines.thin_out(recent, stock.newest_ms - rules.horizon_ms, rules.max_lines)
    return Moved(outcome, old, behind)


def _count(stock: Stock, line: Line) -> str:
    if (line.event_time_ms, line.line_id) <= (stock.count_ms, stock.count_id):
        return "superseded"
    stock.count_ms, stock.count_id = line.event_time_ms, line.line_id
    stock.level = line.quantity + recent_lines.moved_since(stock.recent, line.event_time_ms)
    return "counted"
