"""The shortage job's functions: records into a store's watch, shelves' lines into a region's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor

from state_schemas import shortage_area, store_watch
from tillstream.domain import promotion, shortage_events
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.regional import RegionalRules, apply_line
from tillstream.domain.shortage import (
    ShortageRules,
    StoreWatch,
    apply_basket,
    apply_level,
    apply_promotion,
    missed,
)
from tillstream.domain.shortage_events import StorePromotion
from tillstream.domain.shortage_line import Shortage
from tillstream.domain.transaction import InvalidTransaction, parse
from udfs.engine import BYTES, NOTICES, STATE_BYTES, refuse, require_thread_mode

JOB = "shortage"
# As the rows that sources make: key, value.
BY_STORE = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
WATCH = ValueStateDescriptor("store-watch", STATE_BYTES)
AREA = ValueStateDescriptor("shortage-area", STATE_BYTES)
_encode = msgspec.json.Encoder().encode


class PromotionsByStore(KeyedProcessFunction):
    """Keyed by promotion. In: enveloped announcements. Out: a row for each store, keyed by store; to
    the side: dead letters as JSON bytes. Keeps no state."""

    def __init__(self, stores: tuple[int, ...], thread_mode: bool = True):
        self.stores = stores
        self.thread_mode = thread_mode

    def open(self, runtime_context: RuntimeContext) -> None:
        if self.thread_mode:
            require_thread_mode(runtime_context)

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterable[Any]:
        envelope = unseal(value)
        try:
            announced = promotion.parse(envelope.raw)
        except InvalidTransaction as error:
            return [refuse(envelope, JOB, "validate", error.reason, error.message)]
        told = shortage_events.promotions(announced, self.stores)
        return [Row(str(store), _encode(line)) for store, line in told]


class ShelfWatch(KeyedProcessFunction):
    """Keyed by store. In: enveloped transactions and entries of the stock ledger, and promotions as
    JSON. Out: shelves' lines as JSON bytes; to the side: dead letters as JSON bytes.
    ``write_versions`` is conf's.

    A timer asks now and then whether a store is still heard. It compares with what this subtask hears
    of other stores, while that is of now: a stream that stands still, or a replay, in which one
    partition may run ahead of another, makes nobody offline.
    """

    def __init__(
        self,
        rules: ShortageRules,
        categories: frozenset[str],
        stock_topic: str,
        ask_again_ms: int,
        thread_mode: bool = True,
        write_versions: Mapping[str, int] | None = None,
    ):
        self.rules = rules
        self.categories = categories
        self.stock_origin = f"kafka:{stock_topic}/"
        self.ask_again_ms = ask_again_ms
        self.thread_mode = thread_mode
        self.write_versions = write_versions or {}

    def open(self, runtime_context: RuntimeContext) -> None:
        if self.thread_mode:
            require_thread_mode(runtime_context)
        self.watch: ValueState = runtime_context.get_state(WATCH)
        self.encode_watch = store_watch.CODEC.writer(self.write_versions)
        self.decode_promotion = msgspec.json.Decoder(StorePromotion).decode
        self.decode_change = msgspec.json.Decoder(shortage_events.StockChange).decode
        self.heard_ms = (
            0  # of any store; forgotten at a restart, then nobody is offline for a while
        )

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterable[Any]:
        if value[0] == 123:  # {
            line = self.decode_promotion(value)
            watch = apply_promotion(self._stored(), line.products, line.promotion, self.rules)
            self._store(watch)
            return ()
        envelope = unseal(value)
        if envelope.origin.startswith(self.stock_origin):
            change = self.decode_change(envelope.raw)
            level = shortage_events.level(change, envelope.arrived_ms)
            watch, lines = apply_level(change.store, self._stored(), level, self.rules)
        else:
            try:
                txn = parse(envelope.raw)
            except InvalidTransaction as error:
                return [refuse(envelope, JOB, "validate", error.reason, error.message)]
            basket = shortage_events.basket(txn, envelope.arrived_ms, self.categories)
            if basket is None:
                return ()
            self._hear(envelope)
            watch, lines = apply_basket(txn.store, self._stored(), basket, self.rules)
            if watch is not None and not watch.wake_ms:
                self._ask_later(watch, ctx)
        self._store(watch)
        return [_encode(line) for line in lines]

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterable[Any]:
        watch = self._stored()
        if watch is None:
            return ()
        now_ms = ctx.timer_service().current_processing_time()
        live = now_ms - self.heard_ms <= self.rules.stale_ms
        store = int(ctx.get_current_key())
        lines = missed(store, watch, self.heard_ms, self.rules) if live else []
        if watch.offline_ms:
            watch.wake_ms = 0  # its next basket sets the next timer
        else:
            self._ask_later(watch, ctx)
        self._store(watch)
        return [_encode(line) for line in lines]

    def _hear(self, envelope: Envelope) -> None:
        if envelope.arrived_ms > self.heard_ms:
            self.heard_ms = envelope.arrived_ms

    def _ask_later(self, watch: StoreWatch, ctx: Any) -> None:
        timers = ctx.timer_service()
        watch.wake_ms = timers.current_processing_time() + self.ask_again_ms
        timers.register_processing_time_timer(watch.wake_ms)

    def _stored(self) -> StoreWatch | None:
        stored = self.watch.value()
        return store_watch.decode(stored) if stored is not None else None

    def _store(self, watch: StoreWatch | None) -> None:
        if watch is not None:
            self.watch.update(self.encode_watch(watch))


class RegionWatch(KeyedProcessFunction):
    """Keyed by region and product. In: shelves' lines as JSON bytes. Out: the region's lines as JSON
    bytes; to the side: notices as JSON bytes. ``write_versions`` is conf's."""

    def __init__(
        self,
        rules: RegionalRules,
        thread_mode: bool = True,
        write_versions: Mapping[str, int] | None = None,
    ):
        self.rules = rules
        self.thread_mode = thread_mode
        self.write_versions = write_versions or {}

    def open(self, runtime_context: RuntimeContext) -> None:
        if self.thread_mode:
            require_thread_mode(runtime_context)
        self.area: ValueState = runtime_context.get_state(AREA)
        self.encode_area = shortage_area.CODEC.writer(self.write_versions)
        self.decode_line = msgspec.json.Decoder(Shortage).decode

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterable[Any]:
        stored = self.area.value()
        before = shortage_area.decode(stored) if stored is not None else None
        area, lines, notices = apply_line(before, self.decode_line(value), self.rules)
        if area is not None:
            self.area.update(self.encode_area(area))
        told = [(NOTICES, _encode(notice)) for notice in notices]
        return [*(_encode(line) for line in lines), *told]
