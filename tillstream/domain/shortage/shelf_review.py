"""One look at shelves of a store: what each of them is now, and the lines reported for it.

A store is looked at once a minute, and next to nothing becomes of it: so a look that finds a shelf ok
says until when it must stay so (``Quiet``), and until then the shelf is not even decoded. No line is
told later for it, for the bounds hold for whatever may come:

- While an hour lasts and nothing of the shelf is sold, today's luck only falls (forecast.py). What is
  expected until a lead time after the hour's end is thus more, and more uncertain, than what will be
  expected in the lead time from any moment of that hour. Where stock has that covered, the risk is 0.
- A basket adds no more to the weight of a silence than the heaviest hour's does (silence.py).

What is not said here ends it: a sale, a level, a promotion, a new day.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tillstream.domain.demand import forecast as fc
from tillstream.domain.demand import model as dm
from tillstream.domain.shortage import silence as sl
from tillstream.domain.shortage.line import (
    EVERYTHING,
    MINUTE_MS,
    OFFLINE,
    OK,
    RUNNING_OUT,
    SILENT,
    SOLD_OUT,
    Shortage,
    date_of,
    explain,
)
from tillstream.domain.shortage.shelves import NEVER, Shelf, ShortageRules, StoreWatch
from tillstream.domain.stock.assortment import RangeOrder

Ended = Callable[[str, int], RangeOrder | None]


def never_ended(product: str, at_ms: int) -> RangeOrder | None:
    """Everything is sold here."""
    return None


class Quiet(NamedTuple):
    """A shelf that is ok stays so until ``until_ms`` by its store's clock, while the store has no more
    than ``baskets`` today and nothing of the shelf itself changes."""

    until_ms: int
    baskets: int


class ShelfReview(NamedTuple):
    """One look at the shelves of a store. ``quiet``: by product, what earlier looks have found. ``ended``: by
    which order a product is not sold here at a time."""

    store: int
    watch: StoreWatch
    rules: ShortageRules
    arrived_ms: int
    out: list[Shortage]
    quiet: dict[str, Quiet]
    ended: Ended = never_ended

    def at_all(self) -> None:
        """Judges every shelf that is not known to be quiet."""
        at, baskets = self.watch.newest_ms, sum(self.watch.traffic.hours)
        for product in list(self.watch.shelves):
            quiet = self.quiet.get(product)
            if (
                quiet is None
                or at >= quiet.until_ms
                or baskets > quiet.baskets
                or self.ended(product, at) is not None
            ):
                self.judge(product, self.watch.shelves[product])

    def judge(self, product: str, shelf: Shelf, filled: bool = False) -> None:
        """Sets the shelf's status. ``filled``: it was just seen to hold goods."""
        rules, at = self.rules, self.watch.newest_ms
        # By the baskets' clock, whose the silence is: a level may be ahead of it.
        if (order := self.ended(product, at)) is not None:
            self.rest(product, shelf, order)
            return
        before = shelf.status
        stock = shelf.stock
        if stock is not None and (stock < 0 or (stock == 0 and shelf.sold_ms > shelf.stock_ms)):
            stock = None  # the ledger is wrong, or behind: goods were sold that it does not know
        unlikely, silent = sl.silence(shelf.appeal, self.watch.traffic.hours, rules.silence)
        alpha = sl.alpha(shelf.appeal, rules.silence)
        trusted = shelf.demand.days_known >= rules.silence.least_days
        until_ms = NEVER
        if stock == 0:
            shelf.status = SOLD_OUT
        elif unlikely <= alpha or (before == SILENT and not filled):
            shelf.status = SILENT
        elif stock is not None and trusted:
            until_ms = self._lasts(shelf, stock) if before == OK else at
            lead_ms, risk = rules.lead_ms(self.store), 0.0
            if until_ms == at:
                risk = fc.forecast(shelf.demand, at, at + lead_ms, rules.demand).at_least(stock)
            limit = rules.open_at if before == OK else rules.close_at
            shelf.status = RUNNING_OUT if risk >= limit else OK
        else:
            shelf.status = OK
        if shelf.status in (SOLD_OUT, SILENT):
            empty_ms = shelf.stock_ms if shelf.status == SOLD_OUT else shelf.sold_ms
            dm.mark_absent(shelf.demand, empty_ms, at, rules.demand)
        if shelf.status != before or shelf.status == RUNNING_OUT:
            self._tell(product, shelf, before, stock, silent)
        self._remember(product, shelf, until_ms, alpha)

    def _lasts(self, shelf: Shelf, stock: int) -> int:
        """Until when the risk is 0 if nothing is sold: the end of the hour, or now if that is not sure.
        One unit is kept for the rounding of sums."""
        at, rules = self.watch.newest_ms, self.rules
        end = dm.hour_end(at, rules.demand)
        ahead = fc.forecast(shelf.demand, at, end + rules.lead_ms(self.store), rules.demand)
        return end if ahead.is_covered_by(stock - 1) else at

    def _remember(self, product: str, shelf: Shelf, until_ms: int, alpha: float) -> None:
        """The shelf was judged; nothing but what becomes of the store can make it other than ok before
        ``until_ms``."""
        self.quiet.pop(product, None)
        if shelf.status == OK and until_ms > self.watch.newest_ms:
            hours = self.watch.traffic.hours
            more = sl.patience(shelf.appeal, hours, alpha, self.rules.silence)
            self.quiet[product] = Quiet(until_ms, sum(hours) + more)

    def rest(self, product: str, shelf: Shelf, order: RangeOrder) -> None:
        """By ``order`` nothing is sold here: what is open ends, what is not sold teaches nothing, and no
        basket of this time counts once it is sold again."""
        watch, at = self.watch, self.watch.newest_ms
        demand, silence = self.rules.demand, self.rules.silence
        self.quiet.pop(product, None)
        dm.mark_absent(shelf.demand, order.from_ms, at, demand)
        hour, hours = dm.local(at, demand)[1], watch.traffic.hours
        sl.start_again(shelf.appeal, hours, hour, silence, shelf.demand.absent)
        self.close(product, shelf, f"not sold here: {order.action} {order.assortment_id}")

    def close(self, product: str, shelf: Shelf, why: str = "") -> None:
        """A last line for a shelf that is watched no longer, or not for now."""
        before, shelf.status = shelf.status, OK
        if before != OK:
            self._tell(product, shelf, before, None, 0)
            if why:
                self.out[-1].why = why

    def _tell(
        self, product: str, shelf: Shelf, before: str, stock: int | None, silent: int
    ) -> None:
        rules, at = self.rules, self.watch.newest_ms
        soon = fc.run_out(shelf.demand, at, stock or 0, rules.demand)
        if stock is None or shelf.status != RUNNING_OUT:
            soon = soon._replace(early_ms=None, median_ms=None, late_ms=None)
        told = soon.median_ms or 0
        if before == shelf.status and abs(told - shelf.told_ms) < rules.renew_minutes * MINUTE_MS:
            return
        if before == OK:
            day = dm.local(at, rules.demand)[0]
            shelf.episode = shelf.episode + 1 if day == shelf.episode_day else 1
            shelf.episode_day, shelf.since_ms = day, self._now(shelf)
        worse = shelf.status in (SOLD_OUT, SILENT) and before == RUNNING_OUT
        self.watch.version += 1
        shelf.told_ms = told
        self.out.append(
            self._line(
                product,
                shelf,
                before,
                opens=before == OK or worse,
                stock=shelf.stock,
                early_ms=soon.early_ms,
                run_out_ms=soon.median_ms,
                late_ms=soon.late_ms,
                demand_percent=round(100 * soon.factor),
                silent_baskets=silent if shelf.status == SILENT else 0,
            )
        )

    def _now(self, shelf: Shelf) -> int:
        """The ledger may be ahead of the baskets, which come by another stream."""
        return max(self.watch.newest_ms, shelf.stock_ms)

    def _line(self, product: str, shelf: Shelf, before: str, **told: Any) -> Shortage:
        at = self._now(shelf)
        shelf_id = f"{self.store}/{product}"
        line = Shortage(
            shelf=shelf_id,
            area=f"{self.watch.region}/{product}",
            place=f"store:{self.store}",
            store=self.store,
            region=self.watch.region,
            product=product,
            shortage_id=f"{shelf_id}/{date_of(shelf.episode_day)}/{shelf.episode}",
            status=shelf.status,
            before=before,
            version=self.watch.version,
            at_ms=at,
            since_ms=shelf.since_ms,
            lead_minutes=self.rules.lead_ms(self.store) // MINUTE_MS,
            stale=at < self.arrived_ms - self.rules.stale_ms,
            why="",
            **told,
        )
        line.why = explain(line, self.rules.demand)
        return line

    def tell_store(self, status: str, before: str, at_ms: int, why: str) -> None:
        """A line about the store as a whole."""
        watch = self.watch
        watch.version += 1
        place = f"{self.store}/{EVERYTHING}"
        self.out.append(
            Shortage(
                place, f"{watch.region}/{EVERYTHING}", f"store:{self.store}", self.store,
                watch.region, EVERYTHING, f"{place}/{watch.newest_ms}", status, before,
                watch.version, at_ms, watch.newest_ms, None, None, None, None, 0, 100, 0,
                status == OFFLINE, False, why,
            )
        )  # fmt: skip
