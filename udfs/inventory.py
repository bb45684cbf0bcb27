"""The inventory job's functions: documents into lines, lines into stock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from tillstream.conf import Conf
from tillstream.domain import transaction
from tillstream.domain.demand.model import DemandRules
from tillstream.domain.documents import decode
from tillstream.domain.documents import refuse as refused
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.promotions import promotion
from tillstream.domain.promotions.promotion import PromotionLine
from tillstream.domain.stock import movement as stock_movement
from tillstream.domain.stock.actions import Action, Request
from tillstream.domain.stock.inventory import (
    NOBODY,
    InventoryRules,
    Outcome,
    on_line,
    on_promotion,
    on_request,
    on_wake,
    wake_ms,
)
from tillstream.domain.stock.ledger import HOUR_MS, Line, Stock, StockRules
from tillstream.domain.stock.network import Neighbours
from tillstream.domain.stock.replenishment import PlanningRules
from tillstream.domain.transaction import InvalidTransaction
from tillstream.reference import network
from tillstream.state_schemas.keyed import stock as stock_codec
from tillstream.udfs.batched import BatchedFunction, Outputs
from tillstream.udfs.engine import BYTES, failed, failed_part, refuse, require_thread_mode

JOB = "inventory"
# As the rows that Java makes of till transactions: key, value.
LINES = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
# Side outputs of the ledger, by number.
SIDES = ("actions", "dead-letters")
ACTIONS, REFUSED = 1, 2
# What a record of the ledger begins with.
LINE, OTHER = b"[{"
CLOCK_AHEAD_MS = 86_400_000


class StockDocuments(KeyedProcessFunction):
    """Keyed by document. In: enveloped stock movements, requests and promotions. Out: a row for each
    line, keyed by store and product; to the side: dead letters as JSON bytes. Keeps no state."""

    def __init__(self, kinds: dict[str, str], stores: tuple[int, ...], thread_mode: bool = True):
        """``kinds``: topic -> movement, request or promotion; ``stores``: all there are."""
        self.kinds = kinds
        self.stores = stores
        self.thread_mode = thread_mode

    def open(self, runtime_context: RuntimeContext) -> None:
        if self.thread_mode:
            require_thread_mode(runtime_context)
        self.encode = msgspec.json.Encoder().encode
        read: dict[str, Callable[[bytes], Iterable[Any]]] = {
            "movement": lambda raw: stock_movement.lines(stock_movement.parse(raw)),
            "request": lambda raw: [decode(raw, Request)],
            "promotion": lambda raw: promotion.lines(promotion.parse(raw), self.stores),
        }
        self.read = {topic: read[kind] for topic, kind in self.kinds.items()}

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterable[Any]:
        envelope = unseal(value)
        topic = envelope.origin.partition(":")[2].rsplit("/", 2)[0]
        try:
            lines = list(self.read[topic](envelope.raw))
            if lines and lines[0].event_time_ms > envelope.arrived_ms + CLOCK_AHEAD_MS:
                raise refused("clock_ahead", "event_time_ms is ahead of the broker's clock")
        except InvalidTransaction as error:
            return [refuse(envelope, JOB, "validate", error.reason, error.message)]
        return [Row(_key(line), self.encode(line)) for line in lines]


def _key(line: Line | PromotionLine | Request) -> str:
    store = line.to if isinstance(line, Request) else line.store
    return f"{store}/{line.product}"


class StockLedger(BatchedFunction):
    """Keyed by store and product. In: lines (JSON arrays), requests and promotions (JSON objects), and
    refused till transactions as they came. Out: ledger entries as JSON bytes; to the sides: actions
    as ``<route>|<key>\\n<json>``, dead letters as JSON bytes. A timer has a shelf ask again for what
    nobody had."""

    codec = stock_codec.CODEC

    def __init__(
        self,
        rules: InventoryRules,
        near: dict[int, Neighbours],
        thread_mode: bool = True,
        write_versions: Mapping[str, int] | None = None,
    ):
        self.rules = rules
        self.near = near
        self.thread_mode = thread_mode
        self.write_versions = write_versions or {}

    def start(self, runtime_context: RuntimeContext) -> None:
        self.encode_body = msgspec.json.Encoder().encode
        self.decode_line = msgspec.json.Decoder(Line).decode
        self.decode_other = msgspec.json.Decoder(Request | PromotionLine).decode

    def record(self, state: Stock | None, value: bytes, out: Outputs) -> Stock | None:
        first = value[0]
        if first == LINE:
            line = self.decode_line(value)
            near = self.near.get(line.store, NOBODY)
            after, entry, actions = on_line(state, line, near, self.rules)
        elif first == OTHER:
            other = self.decode_other(value)
            after, entry, actions = self._other(other, state)
            if after is not None and isinstance(other, Request) and other.ask == "refusal":
                out.wake(wake_ms(after, out.now_ms, self.rules))
        else:
            out.emit(refuse_transaction(unseal(value)), REFUSED)
            return None
        if entry is None:
            return None
        out.emit(self.encode_body(entry))
        self._act(actions, out)
        return after

    def due(self, state: Stock | None, key: str, at_ms: int, out: Outputs) -> None:
        if state is not None:
            store, _, product = key.partition("/")
            self._act(on_wake(state, int(store), product, at_ms, self.rules), out)

    def failed(self, value: bytes, problem: str) -> tuple[int, bytes]:
        whole = value[0] not in (LINE, OTHER)  # a transaction, not a line of one
        letter = failed(unseal(value), JOB, problem) if whole else failed_part(value, JOB, problem)
        return REFUSED, letter

    def _act(self, actions: list[Action], out: Outputs) -> None:
        for action in actions:
            head = f"{action.route}|{action.key}\n".encode()
            out.emit(head + self.encode_body(action.body), ACTIONS)

    def _other(self, event: Request | PromotionLine, state: Stock | None) -> Outcome:
        if isinstance(event, Request):
            return on_request(state, event, self.near.get(event.to, NOBODY), self.rules)
        return on_promotion(state, event, self.near.get(event.store, NOBODY), self.rules)


def refuse_transaction(envelope: Envelope) -> bytes:
    """The dead letter of a till transaction that the reader in the JVM did not take."""
    try:
        read = transaction.parse(envelope.raw)
    except InvalidTransaction as error:
        return refuse(envelope, JOB, "validate", error.reason, error.message)[1]
    if read.event_time_ms > envelope.arrived_ms + CLOCK_AHEAD_MS:
        message = "event_time_ms is ahead of the broker's clock"
        return refuse(envelope, JOB, "apply", "clock_ahead", message)[1]
    # The two readers disagree, which their test should have caught: kept, to be redriven.
    return refuse(envelope, JOB, "validate", "unread", "a valid transaction was not read")[1]


def documents(conf: Conf, kinds: dict[str, str]) -> StockDocuments:
    """The first stage as conf has it; ``kinds``: topic -> movement, request or promotion."""
    return StockDocuments(kinds, tuple(network(conf)), conf.job.require_thread_mode)


def ledger(conf: Conf) -> StockLedger:
    """The second stage as conf has it."""
    thread_mode, versions = conf.job.require_thread_mode, conf.state.write_versions
    return StockLedger(stock_rules(conf), network(conf), thread_mode, versions)


def stock_rules(conf: Conf) -> InventoryRules:
    """The settings as the rules take them."""
    settings = msgspec.to_builtins(conf.inventory)
    planning = {
        name: settings[name] for name in PlanningRules.__struct_fields__ if name in settings
    }
    local = DemandRules(conf.demand.utc_offset_minutes, conf.demand.half_life_days, hourly=False)
    stock = StockRules(conf.inventory.horizon_hours * HOUR_MS, conf.inventory.max_lines)
    return InventoryRules(stock, PlanningRules(**planning, demand=local))
