"""A store's watched shelves: which will run out before help can come, and which are empty unreported.

State is kept by store, for what tells an empty shelf from a closed store is what the store sells
otherwise: ``domain/silence.py`` takes the store's own baskets for its clock. What will be asked for
comes from ``domain/demand.py``, the stock left from the stock ledger's levels.

A shelf is ``ok``, ``running_out`` (with probability ``open_at`` the stock is gone before the lead time
that baking or delivery needs in this store), ``sold_out`` (the ledger says nothing is left) or
``silent`` (nothing is bought although it should be). It returns from ``running_out`` only below
``close_at``, from ``silent`` only by a sale or a delivery. Each time it leaves ``ok`` is an episode
with an id of its own: store, product, local day, number of the day.

Every time is event time, never later than the broker took the record; a sale that comes
``in_order_ms`` behind the store's newest teaches the demand but moves no clock. A shelf's alert of a
record that is older than ``stale_ms`` on arrival stands in the table and calls nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any, NamedTuple

import msgspec

from tillstream.domain import demand as dm
from tillstream.domain import promotion
from tillstream.domain import silence as sl
from tillstream.domain.counts import none_sold
from tillstream.domain.demand import Demand, DemandRules
from tillstream.domain.promotion import Promotion
from tillstream.domain.shortage_line import (
    EVERYTHING,
    MINUTE_MS,
    OFFLINE,
    OK,
    RUNNING_OUT,
    SILENT,
    SOLD_OUT,
    Shortage,
    clock,
    date_of,
    explain,
)
from tillstream.domain.silence import Appeal, SilenceRules

NEVER = 2**62


class ShortageRules(msgspec.Struct, frozen=True, gc=False):
    """lead_minutes: how long help takes; lead_minutes_by_store where it is otherwise.
    renew_minutes: an open shortage is told again when its time has moved by so much.
    blind_alpha: how improbable a store's silence must be before it counts as offline."""

    demand: DemandRules = DemandRules()
    silence: SilenceRules = SilenceRules()
    lead_minutes: int = 90
    lead_minutes_by_store: dict[int, int] = {}
    open_at: float = 0.3
    close_at: float = 0.1
    renew_minutes: int = 10
    in_order_ms: int = 2 * MINUTE_MS
    stale_ms: int = 30 * MINUTE_MS
    max_shelves: int = 32
    forget_days: int = 28
    blind_alpha: float = 1e-6

    def lead_ms(self, store: int) -> int:
        return self.lead_minutes_by_store.get(store, self.lead_minutes) * MINUTE_MS


class Shelf(msgspec.Struct, array_like=True, gc=False):
    """One watched product. stock: None until the ledger has told one; stock_version: of that level.
    told_ms: the run-out that was told last."""

    demand: Demand
    appeal: Appeal
    sold_ms: int = 0
    stock: int | None = None
    stock_version: int = -1
    stock_ms: int = 0
    status: str = OK
    since_ms: int = 0
    episode_day: int = 0
    episode: int = 0
    told_ms: int = 0


class StoreWatch(msgspec.Struct, array_like=True, gc=False):
    """One store. newest_ms: its own clock, the latest event time in order; looked_ms: when all its
    shelves were looked at. offline_ms: since when its tills are not heard, 0 if they are. wake_ms: of
    the timer that asks, 0 if there is none. traffic: its baskets, learnt like a product.
    uplifts_until_ms: when a promotion begins or ends next. version: counts the lines told, of all
    shelves, so that one that is forgotten and comes back goes on. ring: the last transactions' marks."""

    region: str = ""
    newest_ms: int = 0
    looked_ms: int = 0
    offline_ms: int = 0
    wake_ms: int = 0
    version: int = 0
    traffic: Demand = msgspec.field(default_factory=Demand)
    promotions: dict[str, list[Promotion]] = {}
    uplifts_until_ms: int = NEVER
    ring: bytes = b""
    shelves: MutableMapping[str, Shelf] = msgspec.field(default_factory=dict)


class Basket(NamedTuple):
    """A sale: ``lines`` are (watched product, units); there may be none. ``mark``: 4 bytes of a hash of
    its id. ``sign`` is -1 for a void, whose baskets move no clock."""

    region: str
    at_ms: int
    arrived_ms: int
    lines: tuple[tuple[str, int], ...]
    mark: bytes
    sign: int = 1


class Level(NamedTuple):
    """What the stock ledger says is left of a product, and since when. ``came``: goods arrived."""

    product: str
    stock: int
    version: int
    at_ms: int
    arrived_ms: int
    came: bool


RING = 64  # so many transactions of a store are remembered, to know one that comes twice


def apply_basket(
    store: int, watch: StoreWatch | None, basket: Basket, rules: ShortageRules
) -> tuple[StoreWatch | None, list[Shortage]]:
    """The store after a basket, and the lines that changed; None where nothing did."""
    if watch is None:
        watch = StoreWatch()
    if not _remember(watch, basket.mark):
        return None, []
    at = min(basket.at_ms, basket.arrived_ms)
    look = _Look(store, watch, rules, basket.arrived_ms, [])
    watch.region = basket.region
    if at > watch.newest_ms:
        _turn_day(look, at)
    watch.newest_ms = max(watch.newest_ms, at)
    if at >= watch.uplifts_until_ms:
        _set_uplifts(watch, rules)
    in_order = basket.sign > 0 and at >= watch.newest_ms - rules.in_order_ms
    if in_order:
        watch.traffic = dm.observe(watch.traffic, at, 1, rules.demand)
        if watch.offline_ms:
            watch.offline_ms = 0
            look.tell_store(OK, OFFLINE, at, "its tills are heard again")
    for product, units in basket.lines:
        shelf = _shelf(watch, product, at, rules)
        if shelf is None:
            continue
        shelf.demand = dm.observe(shelf.demand, at, units * basket.sign, rules.demand)
        if in_order and at >= shelf.sold_ms:
            hour = dm.local(at, rules.demand)[1]
            sl.sold(shelf.appeal, watch.traffic.hours, hour, rules.silence, shelf.demand.absent)
            shelf.sold_ms = at
            look.judge(product, shelf, filled=True)
    if watch.newest_ms - watch.looked_ms >= MINUTE_MS:
        watch.looked_ms = watch.newest_ms - watch.newest_ms % MINUTE_MS
        for product in list(watch.shelves):
            look.judge(product, watch.shelves[product])
    return watch, look.out


def apply_level(
    store: int, watch: StoreWatch | None, level: Level, rules: ShortageRules
) -> tuple[StoreWatch | None, list[Shortage]]:
    """The store after the ledger told a level. Levels of products that no till has sold are not kept:
    the ledger tells them again with the first sale."""
    if watch is None or level.product not in watch.shelves:
        return None, []
    shelf = watch.shelves[level.product]
    if level.version <= shelf.stock_version:
        return None, []
    shelf.stock, shelf.stock_version, shelf.stock_ms = level.stock, level.version, level.at_ms
    look = _Look(store, watch, rules, level.arrived_ms, [])
    if level.came:
        hour = dm.local(watch.newest_ms, rules.demand)[1]
        sl.start_anew(shelf.appeal, watch.traffic.hours, hour, rules.silence, shelf.demand.absent)
    look.judge(level.product, shelf, filled=level.came)
    return watch, look.out


def apply_promotion(
    watch: StoreWatch | None, products: Iterable[str], new: Promotion, rules: ShortageRules
) -> StoreWatch | None:
    """The store after a promotion was announced, changed or cancelled; None if it has no shelf of
    these ``products``: what it has never sold, nothing is expected of."""
    here = [product for product in products if watch is not None and product in watch.shelves]
    if watch is None or not here:
        return None
    for product in here:
        known = watch.promotions.get(product, [])
        watch.promotions[product] = promotion.take(known, new, watch.newest_ms)
    _set_uplifts(watch, rules)
    return watch


def missed(store: int, watch: StoreWatch, heard_ms: int, rules: ShortageRules) -> list[Shortage]:
    """A line if this store's tills say nothing although they should: it is offline, so its shelves
    cannot be judged. ``heard_ms``: how far other stores have been heard; while the whole stream is
    silent nobody is offline. The test is that of a shelf, with the store's baskets for sales."""
    if watch.offline_ms or watch.traffic.days_known < rules.silence.least_days:
        return []
    luck = dm.today(watch.traffic, watch.newest_ms, rules.demand)
    due = dm.normal_units(watch.traffic, watch.newest_ms, heard_ms, rules.demand)
    if none_sold(due * luck.factor, luck.shape) > rules.blind_alpha:
        return []
    watch.offline_ms = watch.newest_ms
    look = _Look(store, watch, rules, heard_ms, [])
    why = f"{due:.0f} baskets were due since {clock(watch.newest_ms, rules.demand)}, none came"
    look.tell_store(OFFLINE, OK, heard_ms, why)
    return look.out


class _Look(NamedTuple):
    """One look at the shelves of a store."""

    store: int
    watch: StoreWatch
    rules: ShortageRules
    arrived_ms: int
    out: list[Shortage]

    def judge(self, product: str, shelf: Shelf, filled: bool = False) -> None:
        """Sets the shelf's status. ``filled``: it was just seen to hold goods."""
        rules, at = self.rules, self.watch.newest_ms
        before = shelf.status
        stock = shelf.stock
        if stock is not None and (stock < 0 or (stock == 0 and shelf.sold_ms > shelf.stock_ms)):
            stock = None  # the ledger is wrong, or behind: goods were sold that it does not know
        unlikely, silent = sl.silence(shelf.appeal, self.watch.traffic.hours, rules.silence)
        trusted = shelf.demand.days_known >= rules.silence.least_days
        if stock == 0:
            shelf.status = SOLD_OUT
        elif unlikely <= sl.alpha(shelf.appeal, rules.silence) or (before == SILENT and not filled):
            shelf.status = SILENT
        elif stock is not None and trusted:
            lead_ms = rules.lead_ms(self.store)
            risk = dm.forecast(shelf.demand, at, at + lead_ms, rules.demand).at_least(stock)
            limit = rules.open_at if before == OK else rules.close_at
            shelf.status = RUNNING_OUT if risk >= limit else OK
        else:
            shelf.status = OK
        if shelf.status in (SOLD_OUT, SILENT):
            empty_ms = shelf.stock_ms if shelf.status == SOLD_OUT else shelf.sold_ms
            dm.mark_absent(shelf.demand, empty_ms, at, rules.demand)
        if shelf.status != before or shelf.status == RUNNING_OUT:
            self._tell(product, shelf, before, stock, silent)

    def close(self, product: str, shelf: Shelf) -> None:
        """A last line for a shelf that is watched no longer."""
        before, shelf.status = shelf.status, OK
        if before != OK:
            self._tell(product, shelf, before, None, 0)

    def _tell(
        self, product: str, shelf: Shelf, before: str, stock: int | None, silent: int
    ) -> None:
        rules, at = self.rules, self.watch.newest_ms
        soon = dm.run_out(shelf.demand, at, stock or 0, rules.demand)
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


def _remember(watch: StoreWatch, mark: bytes) -> bool:
    """False if a transaction of this mark is among the last of the store."""
    at = watch.ring.find(mark)
    while at > 0 and at % 4:
        at = watch.ring.find(mark, at + 1)
    if at >= 0:
        return False
    watch.ring = (watch.ring + mark)[-4 * RING :]
    return True


def _turn_day(look: _Look, at: int) -> None:
    """Where ``at`` begins a new day, every shelf and the store learn the one that is over; a product
    not sold for long has left the range, whatever its shelf looked like."""
    watch, rules = look.watch, look.rules
    day, _ = dm.local(at, rules.demand)
    if watch.traffic.day < 0 or day <= watch.traffic.day:
        return
    for product in list(watch.shelves):
        shelf = watch.shelves[product]
        if watch.newest_ms - shelf.sold_ms > rules.forget_days * dm.DAY_MS:
            look.close(product, shelf)
            del watch.shelves[product]
            continue
        learn = shelf.demand.uplift == shelf.demand.uplift_before == 1.0
        sl.end_day(shelf.appeal, watch.traffic.hours, rules.silence, shelf.demand.absent, learn)
        shelf.demand = dm.roll(shelf.demand, at, rules.demand)
    watch.traffic = dm.roll(watch.traffic, at, rules.demand)


def _shelf(watch: StoreWatch, product: str, at: int, rules: ShortageRules) -> Shelf | None:
    """The shelf of a product; a new one while there is room."""
    if product in watch.shelves:
        return watch.shelves[product]
    if len(watch.shelves) >= rules.max_shelves:
        return None
    shelf = Shelf(dm.roll(None, at, rules.demand), sl.new_appeal())
    watch.shelves[product] = shelf
    return shelf


def _set_uplifts(watch: StoreWatch, rules: ShortageRules) -> None:
    """What promotions multiply the demand of each shelf by now, and until when that holds."""
    at = watch.newest_ms
    watch.uplifts_until_ms = NEVER
    for product, known in list(watch.promotions.items()):
        percent, until = promotion.uplift(known, at, 0)
        watch.uplifts_until_ms = min(watch.uplifts_until_ms, until)
        if product in watch.shelves:
            dm.set_uplift(watch.shelves[product].demand, at, percent / 100, rules.demand)
        if all(one.end_ms <= at for one in known):
            del watch.promotions[product]
