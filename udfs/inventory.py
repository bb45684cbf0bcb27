"""The inventory job's stages: documents into lines, lines into stock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import RuntimeContext

from tillstream.conf import Conf
from tillstream.domain.arrival import refuse_ahead
from tillstream.domain.content import of_movement
from tillstream.domain.demand.model import DemandRules
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.local_time import UTC, RulesByPlace
from tillstream.domain.promotions import promotion
from tillstream.domain.promotions.promotion import PromotionLine
from tillstream.domain.stock import baskets, store_day
from tillstream.domain.stock import movement as stock_movement
from tillstream.domain.stock.actions import Action, Request, parse_request
from tillstream.domain.stock.assortment import RangeOrder
from tillstream.domain.stock.baskets import NO_BUNDLES, Bundles
from tillstream.domain.stock.inventory import (
    InventoryRules,
    Outcome,
    on_line,
    on_promotion,
    on_request,
)
from tillstream.domain.stock.ledger import ABSOLUTE, HOUR_MS, Line, Stock, StockRules
from tillstream.domain.stock.network import NOBODY, Neighbours
from tillstream.domain.stock.order_wake import Seen, see_to_timer, wake_ms
from tillstream.domain.stock.replenishment import PlanningRules
from tillstream.domain.stock.transfers import end_of
from tillstream.domain.transaction import InvalidTransaction
from tillstream.reference import bundles, network, places, zones
from tillstream.state_schemas.keyed import archived_mark
from tillstream.state_schemas.keyed import stock as stock_codec
from tillstream.udfs.batched import Outputs
from tillstream.udfs.engine import BYTES
from tillstream.udfs.passing import stock as stock_passing
from tillstream.udfs.range_orders import RangeOrders
from tillstream.udfs.single import Emitted, SingleStage
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings

NO_ZONES: Mapping[int, str] = {}
_encode = msgspec.json.Encoder().encode
# As the rows that Java makes of till transactions: key, value.
LINES = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])


class StockDocuments(SingleStage):
    """Keyed by document. In: enveloped stock movements, requests and promotions. Out: a row for each
    line, keyed by store and product; to the sides: dead letters as JSON bytes, actions as
    ``<route>|<key>\\n<json>``, and ends of transfers behind a line with their reference.

    It remembers a movement for a while, to tell of another under its id. The same one again passes: the
    ledger knows its lines, and should one have failed, that is how it is put right."""

    codec = archived_mark.CODEC
    kept = "document"
    rest = "document-rest"
    sides = (DEAD_LETTERS, "actions", "transfers")

    def __init__(
        self, settings: StageSettings, kinds: dict[str, str], stores: tuple[int, ...],
        horizon_hours: int = 192, count_behind_hours: int = 24, bundles: Collection[str] = (),
        zones: Mapping[int, str] = NO_ZONES,
    ) -> None:  # fmt: skip
        """``kinds``: topic -> movement, request or promotion; ``stores``: all there are; ``bundles``: what
        has no shelf, for its parts have. ``zones``: of stores; UTC where it is not there."""
        super().__init__(settings)
        self.bundles = frozenset(bundles)
        self.zones = zones
        self.kinds = kinds
        self.stores = stores
        self.life_ms = (horizon_hours + 24) * HOUR_MS
        self.horizon_ms = horizon_hours * HOUR_MS
        self.count_behind_ms = count_behind_hours * HOUR_MS

    def start(self, runtime_context: RuntimeContext) -> None:
        read: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], Iterable[Any]]]] = {
            "movement": (lambda raw: stock_movement.parse(raw, self.bundles), stock_movement.lines),
            "request": (parse_request, lambda request: (request,)),
            "promotion": (promotion.parse, self._promoted),
        }
        self.read = {topic: read[kind] for topic, kind in self.kinds.items()}

    def _promoted(self, announced: promotion.Announcement) -> Iterator[PromotionLine]:
        """Nobody knows how much more is sold of what is in a bundle."""
        lines = promotion.lines(announced, self.stores)
        return (line for line in lines if line.product not in self.bundles)

    @staticmethod
    def _rows(lines: Callable[[Any], Iterable[Any]], found: Any, arrived_ms: int) -> Iterator[Row]:
        return (_row(line, arrived_ms) for line in lines(found))

    def piece(self, value: bytes, after: int) -> tuple[Iterable[Row], int | None]:
        """Some stores of a promotion, in their order; a part's number is its store's."""
        envelope = unseal(value)
        found = promotion.parse(envelope.raw)
        left = sorted({store for store in found.stores or self.stores if store > after})
        some = left[: max(self.at_once // len(found.products), 1)]
        if not some:
            return (), None
        part = msgspec.structs.replace(found, stores=tuple(some))
        rows = self._rows(self._promoted, part, envelope.arrived_ms)
        return rows, some[-1] if len(some) < len(left) else None

    def record(
        self, state: archived_mark.Mark | None, value: bytes, out: Emitted
    ) -> archived_mark.Mark | None:
        envelope = unseal(value)
        topic = envelope.origin.partition(":")[2].rsplit("/", 2)[0]
        parse, lines = self.read[topic]
        found = parse(envelope.raw)
        for line in islice(lines(found), 1):  # they share the document's time
            refuse_ahead(
                line.event_time_ms, "event_time_ms", envelope, self.settings.clock_ahead_ms
            )
        said = of_movement(found) if isinstance(found, stock_movement.Movement) else b""
        if said and state is not None and state.fingerprint not in (said, b""):
            message = "another document with this document_id came before it"
            self.refuse(envelope, "apply", "id_conflict", message, out)
            return None
        if state is None and isinstance(found, stock_movement.Movement):
            self._once(found, envelope.arrived_ms, out)
        rows = partial(self._rows, lines, found, envelope.arrived_ms)
        if isinstance(found, promotion.Announcement):  # 1.45 million, of 500 products in all stores
            out.in_pieces(rows)
        else:
            out.emit_each(rows)
        return archived_mark.Mark(said) if said and state is None else None

    def _once(self, found: stock_movement.Movement, arrived_ms: int, out: Emitted) -> None:
        """What a document that was not seen before sets going besides its lines."""
        at_ms = found.event_time_ms
        if found.kind in ABSOLUTE:
            for action in store_day.count_behind(
                found.store,
                found.document_id,
                at_ms,
                arrived_ms,
                self.count_behind_ms,
                self.zones.get(found.store, UTC),
            ):
                out.emit(stock_passing.routed(action), "actions")
        # An older one may be a repeat of one that was forgotten.
        is_recent = arrived_ms - at_ms <= self.horizon_ms
        if found.kind in ("transfer_in", "transfer_out") and found.reference and is_recent:
            end = end_of(found.reference, found.kind, stock_movement.lines(found), arrived_ms)
            out.emit(f"{found.reference}\n".encode() + _encode(end), "transfers")


def _row(line: Line | PromotionLine | Request, arrived_ms: int) -> Row:
    if isinstance(line, Line):
        line.arrived_ms = arrived_ms
    return Row(_key(line), stock_passing.to_ledger(line))


def _key(line: Line | PromotionLine | Request) -> str:
    store = line.to if isinstance(line, Request) else line.store
    return f"{store}/{line.product}"


class StockLedger(RangeOrders):
    """Keyed by store and product. In: what `stock_passing` has, of StockLines.java and `StockDocuments`;
    beside it enveloped orders about the assortment. Out: ledger entries as JSON bytes; to the sides: actions
    as ``<route>|<key>\\n<json>``, dead letters as JSON bytes, and what a store hears of all its shelves,
    behind a line with its number. A timer has a shelf ask again for what nobody had, another whether what it
    has ordered is still wanted, or it is sold from again."""

    codec = stock_codec.CODEC
    sides = ("actions", DEAD_LETTERS, "stores")

    def __init__(
        self, settings: StageSettings, rules: InventoryRules, near: dict[int, Neighbours],
        zones: Mapping[int, str], countries: Mapping[int, str] | None = None,
        bundles: Bundles = NO_BUNDLES,
    ) -> None:  # fmt: skip
        """``zones``: of stores; a place that is not there goes by the zone of ``rules``. ``countries``: of
        stores. ``bundles``: as StockLines.java took them apart."""
        super().__init__(settings)
        self.bundles = bundles
        self.rules = RulesByPlace(rules, zones)
        self.near = near
        self.countries = countries or {}

    def record(self, state: Stock | None, value: bytes, out: Outputs) -> Stock | None:
        came = stock_passing.read(value)
        before_ms = state.newest_ms if state is not None else 0
        if isinstance(came, Line):
            near = self.near.get(came.store, NOBODY)
            ended = self._ended(
                state, came.store, came.product, min(came.event_time_ms, came.arrived_ms)
            )
            after, entry, actions = on_line(state, came, near, self.rules.of(came.store), ended)
        elif isinstance(came, Envelope):
            self._refuse_transaction(came, out)
            return None
        else:
            after, entry, actions = self._other(came, state)
            if after is not None and isinstance(came, Request) and came.ask == "refusal":
                out.wake(wake_ms(after, out.now_ms, self.rules.of(came.to).planning))
        if entry is None or after is None:
            return None
        ordered = any(one.route == "requests" and one.body.ask == "order" for one in actions)
        self._see_to_timer(after, entry.store, entry.product, Seen(None, before_ms, ordered), out)
        out.emit(_encode(entry))
        self._act(actions, out)
        return after

    def due(self, state: Stock | None, key: str, at_ms: int, out: Outputs) -> None:
        if state is not None:
            store, _, product = key.partition("/")
            self._see_to_timer(state, int(store), product, Seen(at_ms), out)

    def _see_to_timer(
        self, stock: Stock, store: int, product: str, seen: Seen, out: Outputs
    ) -> None:
        planning = self.rules.of(store).planning
        actions, wake_at = see_to_timer(
            stock, store, product, seen, out.now_ms, self.range, planning
        )
        self._act(actions, out)
        if wake_at is not None:
            out.wake(wake_at)

    def sent(self, value: bytes) -> Envelope:
        came = stock_passing.sent(value)
        return came if isinstance(came, Envelope) else self.part(came, typed=True)

    def _act(self, actions: list[Action], out: Outputs) -> None:
        for action in actions:
            if action.route == "stores":
                body = _encode((int(action.key), action.body))
                out.emit(f"{action.key}\n".encode() + body, "stores")
                continue
            out.emit(stock_passing.routed(action), "actions")

    def _other(self, event: Request | PromotionLine, state: Stock | None) -> Outcome:
        if isinstance(event, Request):
            near, rules = self.near.get(event.to, NOBODY), self.rules.of(event.to)
            ended = self._ended(state, event.to, event.product, event.event_time_ms)
            return on_request(state, event, near, rules, ended)
        near, rules = self.near.get(event.store, NOBODY), self.rules.of(event.store)
        ended = self._ended(state, event.store, event.product, 0)
        return on_promotion(state, event, near, rules, ended)

    # -- the assortment ----------------------------------------------------------------------------

    def _ended(
        self, state: Stock | None, store: int, product: str, at_ms: int
    ) -> RangeOrder | None:
        """By which order nothing is sold there, by the shelf's own clock."""
        newest_ms = state.newest_ms if state is not None else 0
        return self.range.ended(store, product, max(at_ms, newest_ms))

    def _refuse_transaction(self, envelope: Envelope, out: Outputs) -> None:
        """The dead letter of a transaction of which the reader in the JVM did not take all."""
        try:
            receipt = baskets.read(envelope.raw)
        except InvalidTransaction as error:
            self.refuse(envelope, "validate", error.reason, error.message, out)
            return
        # Neither: the two readers disagree, which their test should have caught; kept, to be redriven.
        why = baskets.uncounted(receipt, self.bundles) or (
            "unread",
            "a valid transaction was not read",
        )
        self.refuse(envelope, "apply", *why, out)


def documents(conf: Conf, kinds: dict[str, str]) -> StockDocuments:
    """The first stage as conf has it; ``kinds``: topic -> movement, request or promotion."""
    stores, _ = places(conf)
    numbers = sorted({store.number for store in stores})
    hours = conf.inventory.horizon_hours, conf.inventory.count_behind_hours
    return StockDocuments(
        StageSettings.of("inventory", conf),
        kinds,
        tuple(numbers),
        *hours,
        bundles(conf),
        zones(conf),
    )


def ledger(conf: Conf) -> StockLedger:
    """The second stage as conf has it."""
    return StockLedger(
        StageSettings.of("inventory", conf), stock_rules(conf), network(conf), zones(conf),
        {store.number: store.country for store in places(conf)[0]}, bundles(conf),
    )  # fmt: skip


def stock_rules(conf: Conf) -> InventoryRules:
    """The settings as the rules take them."""
    settings = msgspec.to_builtins(conf.inventory)
    planning = {
        name: settings[name] for name in PlanningRules.__struct_fields__ if name in settings
    }
    demand = DemandRules(half_life_days=conf.demand.half_life_days, hourly=False)
    stock = StockRules(conf.inventory.horizon_hours * HOUR_MS, conf.inventory.max_lines)
    return InventoryRules(stock, PlanningRules(**planning, demand=demand))
