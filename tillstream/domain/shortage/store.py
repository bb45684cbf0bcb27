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

``quiet`` is the memory of the last looks at a store (``shelf_look.py``), by product. It may be lost: an
empty one has every shelf looked at, and the lines are the same. Who changes a shelf takes it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tillstream.domain.demand import forecast as fc
from tillstream.domain.demand import model as dm
from tillstream.domain.demand.counts import none_sold
from tillstream.domain.local_time import clock, offset_ms
from tillstream.domain.promotions import promotion
from tillstream.domain.promotions.promotion import Promotion
from tillstream.domain.shortage import silence as sl
from tillstream.domain.shortage.line import MINUTE_MS, OFFLINE, OK, Shortage
from tillstream.domain.shortage.shelf_review import Ended, Quiet, ShelfReview, never_ended
from tillstream.domain.shortage.shelves import NEVER, Shelf, ShortageRules, StoreWatch
from tillstream.domain.stock.assortment import RangeOrder


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
    """What the stock ledger says is left of a product, None if it does not know, and since when. ``came``:
    goods arrived."""

    product: str
    stock: int | None
    version: int
    at_ms: int
    arrived_ms: int
    came: bool


RING = 64  # so many transactions of a store are remembered, to know one that comes twice


def apply_basket(
    store: int, watch: StoreWatch | None, basket: Basket, rules: ShortageRules,
    quiet: dict[str, Quiet] | None = None, ended: Ended = never_ended,
) -> tuple[StoreWatch | None, list[Shortage]]:  # fmt: skip
    """The store after a basket, and the lines that changed; None where nothing did."""
    quiet = {} if quiet is None else quiet
    if watch is None:
        watch = StoreWatch(zone=rules.demand.zone)
        quiet.clear()
    _keep_zone(watch, rules, quiet)
    if not _remember(watch, basket.mark):
        return None, []
    at = min(basket.at_ms, basket.arrived_ms)
    review = ShelfReview(store, watch, rules, basket.arrived_ms, [], quiet, ended)
    watch.region = basket.region
    if watch.traffic.day < 0:  # a store may begin with a void, which is no traffic
        watch.traffic = dm.roll(None, at, rules.demand)
    if at > watch.newest_ms:
        _turn_day(review, at)
    watch.newest_ms = max(watch.newest_ms, at)
    if at >= watch.uplifts_until_ms:
        _set_uplifts(watch, rules)
        quiet.clear()
    in_order = basket.sign > 0 and at >= watch.newest_ms - rules.in_order_ms
    if in_order:
        watch.traffic = dm.observe(watch.traffic, at, 1, rules.demand)
        if watch.offline_ms:
            watch.offline_ms = 0
            review.tell_store(OK, OFFLINE, at, "its tills are heard again")
    for product, units in basket.lines:
        shelf = _shelf(watch, product, at, rules)
        if shelf is None:
            continue
        quiet.pop(product, None)
        shelf.demand = dm.observe(shelf.demand, at, units * basket.sign, rules.demand)
        if in_order and at >= shelf.sold_ms:
            hour = dm.local(at, rules.demand)[1]
            sl.sold(shelf.appeal, watch.traffic.hours, hour, rules.silence, shelf.demand.absent)
            shelf.sold_ms = at
            review.judge(product, shelf, filled=True)
    if watch.newest_ms - watch.looked_ms >= MINUTE_MS:
        watch.looked_ms = watch.newest_ms - watch.newest_ms % MINUTE_MS
        review.at_all()
    return watch, review.out


def apply_level(
    store: int, watch: StoreWatch | None, level: Level, rules: ShortageRules,
    quiet: dict[str, Quiet] | None = None, ended: Ended = never_ended,
) -> tuple[StoreWatch | None, list[Shortage]]:  # fmt: skip
    """The store after the ledger told a level. Levels of products that no till has sold are not kept:
    the ledger tells them again with the first sale."""
    if watch is None or level.product not in watch.shelves:
        return None, []
    quiet = {} if quiet is None else quiet
    _keep_zone(watch, rules, quiet)
    shelf = watch.shelves[level.product]
    if level.version <= shelf.stock_version:
        return None, []
    shelf.stock, shelf.stock_version, shelf.stock_ms = level.stock, level.version, level.at_ms
    review = ShelfReview(store, watch, rules, level.arrived_ms, [], quiet, ended)
    if level.came:
        hour = dm.local(watch.newest_ms, rules.demand)[1]
        sl.start_again(shelf.appeal, watch.traffic.hours, hour, rules.silence, shelf.demand.absent)
    review.judge(level.product, shelf, filled=level.came)
    return watch, review.out


def apply_promotion(
    watch: StoreWatch | None, products: Iterable[str], new: Promotion, rules: ShortageRules,
    quiet: dict[str, Quiet] | None = None,
) -> StoreWatch | None:  # fmt: skip
    """The store after a promotion was announced, changed or cancelled; None if it has no shelf of
    these ``products``: what it has never sold, nothing is expected of."""
    here = [product for product in products if watch is not None and product in watch.shelves]
    if watch is None or not here:
        return None
    for product in here:
        known = watch.promotions.get(product, [])
        watch.promotions[product] = promotion.take(known, new, watch.newest_ms)
    _set_uplifts(watch, rules)
    if quiet is not None:
        quiet.clear()
    return watch


def missed(
    store: int, watch: StoreWatch, heard_ms: int, rules: ShortageRules, opened_ms: int = 0
) -> list[Shortage]:
    """A line if this store's tills say nothing although they should: it is offline, so its shelves
    cannot be judged. ``heard_ms``: how far other stores have been heard; while the whole stream is
    silent nobody is offline. ``opened_ms``: since when it is open again. The test is that of a shelf, with
    the store's baskets for sales."""
    _keep_zone(watch, rules, {})
    if watch.offline_ms or watch.traffic.days_known < rules.silence.least_days:
        return []
    since_ms = max(watch.newest_ms, opened_ms)
    luck = fc.today(watch.traffic, watch.newest_ms, rules.demand)
    due = fc.normal_units(watch.traffic, since_ms, heard_ms, rules.demand)
    if none_sold(due * luck.factor, luck.shape) > rules.blind_alpha:
        return []
    watch.offline_ms = watch.newest_ms
    review = ShelfReview(store, watch, rules, heard_ms, [], {})
    why = f"{due:.0f} baskets were due since {clock(rules.demand.zone, since_ms)}, none came"
    review.tell_store(OFFLINE, OK, heard_ms, why)
    return review.out


def closed(
    store: int, watch: StoreWatch, at_ms: int, rules: ShortageRules, order: RangeOrder
) -> list[Shortage]:
    """Of a store that is closed by ``order`` nobody expects to hear: it is offline no more."""
    if not watch.offline_ms:
        return []
    watch.offline_ms = 0
    review = ShelfReview(store, watch, rules, at_ms, [], {})
    review.tell_store(OK, OFFLINE, at_ms, f"the store is closed: {order.assortment_id}")
    return review.out


def end_what_is_not_sold(
    store: int, watch: StoreWatch, at_ms: int, rules: ShortageRules, ended: Ended
) -> list[Shortage]:
    """Lines of shelves that are short of what is not sold at ``at_ms``: a closed store has no baskets that
    would have them looked at."""
    review = ShelfReview(store, watch, rules, at_ms, [], {})
    for product in list(watch.shelves):
        shelf = watch.shelves[product]
        if shelf.status != OK and (order := ended(product, at_ms)) is not None:
            review.rest(product, shelf, order)
    return review.out


def _keep_zone(watch: StoreWatch, rules: ShortageRules, quiet: dict[str, Quiet]) -> None:
    """Where the store has another zone than it was known by, what was learnt by the hour is moved by the
    hours between the two clocks: else each morning or evening would pass for a store that is offline."""
    zone, at = rules.demand.zone, watch.newest_ms
    if watch.zone == zone:
        return
    hours = round((offset_ms(zone, at) - offset_ms(watch.zone, at)) / dm.HOUR_MS)
    watch.zone = zone
    if hours:
        quiet.clear()
        dm.shift_hours(watch.traffic, hours)
        for product in list(watch.shelves):
            shelf = watch.shelves[product]
            dm.shift_hours(shelf.demand, hours)
            sl.shift_hours(shelf.appeal, hours)


def _remember(watch: StoreWatch, mark: bytes) -> bool:
    """False if a transaction of this mark is among the last of the store."""
    at = watch.ring.find(mark)
    while at > 0 and at % 4:
        at = watch.ring.find(mark, at + 1)
    if at >= 0:
        return False
    watch.ring = (watch.ring + mark)[-4 * RING :]
    return True


def _turn_day(review: ShelfReview, at: int) -> None:
    """Where ``at`` begins a new day, every shelf and the store learn the one that is over; a product
    not sold for long has left the range, whatever its shelf looked like."""
    watch, rules = review.watch, review.rules
    day, _ = dm.local(at, rules.demand)
    if day <= watch.traffic.day:
        return
    review.quiet.clear()
    for product in list(watch.shelves):
        shelf = watch.shelves[product]
        if watch.newest_ms - shelf.sold_ms > rules.forget_days * dm.DAY_MS:
            review.close(product, shelf)
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
