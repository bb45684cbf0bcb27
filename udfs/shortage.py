"""The shortage job's stages: records into a store's watch, shelves' lines into a region's."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import RuntimeContext

from tillstream.catalog import topics
from tillstream.conf import Conf
from tillstream.domain.arrival import refuse_ahead
from tillstream.domain.demand.model import DemandRules
from tillstream.domain.envelope import Envelope, seal, unseal
from tillstream.domain.local_time import RulesByPlace
from tillstream.domain.promotions import promotion
from tillstream.domain.receipt.reading import arrival, opened
from tillstream.domain.shortage import events as shortage_events
from tillstream.domain.shortage.events import StorePromotion
from tillstream.domain.shortage.line import MINUTE_MS, Shortage
from tillstream.domain.shortage.regional import Area, RegionalRules, apply_line
from tillstream.domain.shortage.shelf_review import Quiet
from tillstream.domain.shortage.shelves import ShortageRules, StoreWatch
from tillstream.domain.shortage.silence import SilenceRules
from tillstream.domain.shortage.store import (
    apply_basket,
    apply_level,
    apply_promotion,
    closed,
    end_what_is_not_sold,
    missed,
)
from tillstream.domain.transaction import InvalidTransaction
from tillstream.reference import places, region_zones, zones
from tillstream.state_schemas.keyed import shortage_area, store_watch
from tillstream.udfs.batched import Outputs
from tillstream.udfs.engine import BYTES
from tillstream.udfs.range_orders import RangeOrders
from tillstream.udfs.single import Emitted, SingleStage
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings

PICKLE = b"\x80"  # what its frame begins with; no version of a codec does
# As the rows that sources make: key, value.
BY_STORE = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
# The origin of a store's part of a promotion, which tells it from what the watch hears of topics.
STORE_PROMOTION = "promotions-by-store"
_encode = msgspec.json.Encoder().encode


class PromotionsByStore(SingleStage):
    """Keyed by promotion. In: enveloped announcements. Out: a row for each store, keyed by store, its
    value an enveloped `StorePromotion`; to the side: dead letters as JSON bytes. Keeps no state."""

    def __init__(self, settings: StageSettings, stores: tuple[int, ...]) -> None:
        super().__init__(settings)
        self.stores = stores

    def record(self, state: None, value: bytes, out: Emitted) -> None:
        envelope = unseal(value)
        announced = promotion.parse(envelope.raw)
        ahead_ms = self.settings.clock_ahead_ms
        refuse_ahead(announced.announced_ms, "announced_ms", envelope, ahead_ms)
        out.emit_each(lambda: self._rows(announced, envelope.arrived_ms))

    def _rows(self, announced: promotion.Announcement, arrived_ms: int) -> Iterator[Row]:
        for store, part in shortage_events.promotions(announced, self.stores):
            yield Row(str(store), seal(STORE_PROMOTION, arrived_ms, _encode(part)))


class ShelfWatch(RangeOrders):
    """Keyed by store. In: enveloped transactions, entries of the stock ledger and promotions of
    `PromotionsByStore`, told apart by their origin; beside it enveloped orders about the assortment. Out:
    shelves' lines as JSON bytes; to the side: dead letters as JSON bytes.

    A timer asks now and then whether a store is still heard, and ends what is open of what is not sold any
    more. It compares with what this subtask hears
    of other stores, while that is of now: a stream that stands still, or a replay, in which one
    partition may run ahead of another, makes nobody offline.
    """

    codec = store_watch.CODEC

    def __init__(
        self,
        settings: StageSettings,
        rules: ShortageRules,
        categories: frozenset[str],
        stock_topic: str,
        ask_again_ms: int,
        zones: Mapping[int, str],
        countries: Mapping[int, str] | None = None,
    ) -> None:
        """``zones``: of stores; one that is not there goes by the zone of ``rules``. ``countries``: of
        stores."""
        super().__init__(settings)
        self.countries = countries or {}
        self.stale_ms = rules.stale_ms
        self.rules = RulesByPlace(rules, zones)
        self.categories = categories
        self.stock_origin = f"kafka:{stock_topic}/"
        self.ask_again_ms = ask_again_ms

    def start(self, runtime_context: RuntimeContext) -> None:
        super().start(runtime_context)
        self.decode_promotion = msgspec.json.Decoder(StorePromotion).decode
        self.heard_ms = (
            0  # of any store; forgotten at a restart, then nobody is offline for a while
        )
        # By store, of the states this subtask has written; forgotten with them at a restart.
        self.quiet: dict[int, dict[str, Quiet]] = defaultdict(dict)

    def reader(self) -> Callable[[bytes], StoreWatch]:
        return _stored_watch

    def record(self, state: StoreWatch | None, value: bytes, out: Outputs) -> StoreWatch | None:
        envelope = unseal(value)
        if envelope.origin.startswith(self.stock_origin):
            change = shortage_events.parse_change(envelope.raw)
            level = shortage_events.level(change, envelope.arrived_ms)
            quiet = self.quiet[change.store]
            watch, lines = apply_level(
                change.store, state, level, self.rules.of(change.store), quiet,
                partial(self.range.ended, change.store),
            )  # fmt: skip
        elif envelope.origin == STORE_PROMOTION:
            line = self.decode_promotion(envelope.raw)
            quiet = self.quiet[line.store]
            return apply_promotion(
                state, line.products, line.promotion, self.rules.of(line.store), quiet
            )
        else:
            try:
                receipt = shortage_events.read(envelope.raw)
            except InvalidTransaction as error:
                self.refuse(self.sent(value), "validate", error.reason, error.message, out)
                return None
            arrived_ms = arrival(envelope, receipt.arrived_ms)
            basket = shortage_events.basket(receipt, arrived_ms, self.categories)
            if basket is None:
                return None
            self.heard_ms = max(self.heard_ms, arrived_ms)
            quiet, rules = self.quiet[receipt.store], self.rules.of(receipt.store)
            watch, lines = apply_basket(
                receipt.store, state, basket, rules, quiet,
                partial(self.range.ended, receipt.store),
            )  # fmt: skip
            # One long overdue is lost; should it come after all, it is not the one awaited.
            if watch is not None and out.now_ms > watch.wake_ms + self.ask_again_ms:
                self._ask_later(watch, out)
        for told in lines:
            out.emit(_encode(told))
        return watch

    def sent(self, value: bytes) -> Envelope:
        envelope = unseal(value)
        if envelope.origin == STORE_PROMOTION:
            return self.part(envelope.raw, typed=True)
        of_topic = envelope.origin.startswith(self.stock_origin)
        return envelope if of_topic else opened(value)

    def abandon(self) -> None:
        self.quiet.clear()

    def due(
        self, state: StoreWatch | None, key: str, at_ms: int, out: Outputs
    ) -> StoreWatch | None:
        if state is None or at_ms != state.wake_ms:
            return None
        store, rules = int(key), self.rules.of(int(key))
        live = out.now_ms - self.heard_ms <= self.stale_ms
        at_ms = max(self.heard_ms if live else 0, state.newest_ms)
        told = end_what_is_not_sold(store, state, at_ms, rules, partial(self.range.ended, store))
        if (order := self.range.closed(store, at_ms)) is not None:
            told += closed(store, state, at_ms, rules, order)
        elif live:
            opened_ms = self.range.opened_ms(store, at_ms)
            told += missed(store, state, self.heard_ms, rules, opened_ms)
        for line in told:
            out.emit(_encode(line))
        self._ask_later(state, out)
        return state

    def _ask_later(self, watch: StoreWatch, out: Outputs) -> None:
        watch.wake_ms = out.now_ms + self.ask_again_ms
        out.wake(watch.wake_ms)


def _stored_watch(stored: bytes) -> StoreWatch:
    """Written by one call a record, PyFlink's pickle is around the codec's bytes."""
    return store_watch.decode(pickle.loads(stored) if stored[:1] == PICKLE else stored)


class RegionWatch(SingleStage):
    """Keyed by region and product. In: shelves' lines as JSON bytes. Out: the region's lines as JSON
    bytes; to the sides: notices and dead letters as JSON bytes."""

    codec = shortage_area.CODEC
    kept = "shortage-area"
    sides = ("notices", DEAD_LETTERS)

    def __init__(
        self, settings: StageSettings, rules: RegionalRules, zones: Mapping[str, str]
    ) -> None:
        """``zones``: of regions; one that is not there goes by the zone of ``rules``."""
        super().__init__(settings)
        self.rules = RulesByPlace(rules, zones)

    def start(self, runtime_context: RuntimeContext) -> None:
        self.decode_line = msgspec.json.Decoder(Shortage).decode

    def record(self, state: Area | None, value: bytes, out: Emitted) -> Area | None:
        shelf = self.decode_line(value)
        area, lines, notices = apply_line(state, shelf, self.rules.of(shelf.region))
        for line in lines:
            out.emit(_encode(line))
        for notice in notices:
            out.emit(_encode(notice), "notices")
        return area

    def sent(self, value: bytes) -> Envelope:
        return self.part(value, typed=True)


def promotions_by_store(conf: Conf) -> PromotionsByStore:
    """The stage as conf has it: a promotion of all stores goes to each of them."""
    stores = tuple(store.number for store in places(conf)[0])
    return PromotionsByStore(StageSettings.of("shortage", conf), stores)


def shelf_watch(conf: Conf) -> ShelfWatch:
    """The settings as the rules take them."""
    settings = conf.shortage
    rules = ShortageRules(
        demand=DemandRules(half_life_days=conf.demand.half_life_days),
        silence=SilenceRules(false_alarms_a_year=settings.false_alarms_a_year),
        lead_minutes=settings.lead_minutes,
        lead_minutes_by_store=settings.lead_minutes_by_store,
        open_at=settings.open_at_percent / 100,
        close_at=settings.close_at_percent / 100,
        max_shelves=settings.max_shelves,
        stale_ms=settings.stale_minutes * MINUTE_MS,
    )
    return ShelfWatch(
        StageSettings.of("shortage", conf),
        rules,
        frozenset(settings.categories),
        conf.topic(topics.STOCK_CHANGES),
        settings.ask_again_minutes * MINUTE_MS,
        zones(conf),
        {store.number: store.country for store in places(conf)[0]},
    )


def region_watch(conf: Conf) -> RegionWatch:
    """What is normal in a region, by the clock of its stores."""
    settings = StageSettings.of("shortage", conf)
    return RegionWatch(settings, RegionalRules(), region_zones(conf))
