"""The inventory job's stages behind the ledger and the documents: what is told of many shelves together."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from pyflink.datastream import RuntimeContext

from tillstream.conf import Conf
from tillstream.domain.envelope import Envelope
from tillstream.domain.local_time import DAY_MS, RulesByPlace
from tillstream.domain.stock.actions import Action
from tillstream.domain.stock.ledger import HOUR_MS
from tillstream.domain.stock.store_day import ReportRules, ShelfNews, StoreDays, on_news, on_report
from tillstream.domain.stock.transfers import (
    BEHIND_MS,
    Transfer,
    TransferEnd,
    TransferRules,
    on_due,
    on_end,
)
from tillstream.reference import zones
from tillstream.state_schemas.keyed import stock_transfer, store_day
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.passing import stock as stock_passing
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings

# Past any outage: what of a reference is another transfer's, the rule says by the documents' own times.
TRANSFER_LIFE_MS = (30 + 366) * DAY_MS


def _act(actions: list[Action], out: Outputs) -> None:
    for action in actions:
        out.emit(stock_passing.routed(action))


class StoreReports(BatchedStage):
    """Keyed by store. In: `ShelfNews` of `StockLedger`. Out: actions as ``<route>|<key>\\n<json>``; to the
    side: dead letters as JSON bytes."""

    codec = store_day.CODEC
    sides = (DEAD_LETTERS,)

    def __init__(
        self, settings: StageSettings, rules: ReportRules, zones: Mapping[int, str]
    ) -> None:
        """``zones``: of stores; one that is not there goes by the zone of ``rules``."""
        super().__init__(settings)
        self.rules = RulesByPlace(rules, zones)

    def start(self, runtime_context: RuntimeContext) -> None:
        self.decode_news = msgspec.json.Decoder(tuple[int, ShelfNews]).decode

    def record(self, state: StoreDays | None, value: bytes, out: Outputs) -> StoreDays | None:
        store, news = self.decode_news(value)
        after, actions, wake_at = on_news(state, store, news, out.now_ms, self.rules.of(store))
        _act(actions, out)
        if wake_at is not None:
            out.wake(wake_at)
        return after

    def due(self, state: StoreDays | None, key: str, at_ms: int, out: Outputs) -> StoreDays | None:
        if state is None:
            return None
        now_ms = max(out.now_ms, at_ms)
        if now_ms - at_ms > BEHIND_MS:
            out.wake(now_ms + HOUR_MS)  # sales of that day, and counts, are yet to be read
            return None
        after, actions = on_report(state, int(key), now_ms, self.rules.of(int(key)))
        _act(actions, out)
        return after

    def sent(self, value: bytes) -> Envelope:
        return self.part(value, typed=True)


class TransferEnds(BatchedStage):
    """Keyed by reference. In: `TransferEnd` of `StockDocuments`. Out: actions as ``<route>|<key>\\n<json>``;
    to the side: dead letters as JSON bytes. A timer compares what was sent with what was received."""

    codec = stock_transfer.CODEC
    sides = (DEAD_LETTERS,)

    def __init__(self, settings: StageSettings, rules: TransferRules) -> None:
        super().__init__(settings)
        self.rules = rules

    def start(self, runtime_context: RuntimeContext) -> None:
        self.decode_end = msgspec.json.Decoder(TransferEnd).decode

    def record(self, state: Transfer | None, value: bytes, out: Outputs) -> Transfer | None:
        after, wake_at = on_end(state, self.decode_end(value), out.now_ms, self.rules)
        if wake_at is not None:
            out.wake(wake_at)
        return after

    def due(self, state: Transfer | None, key: str, at_ms: int, out: Outputs) -> Transfer | None:
        if state is None:
            return None
        after, actions, wake_at = on_due(state, key, at_ms, out.now_ms, self.rules)
        _act(actions, out)
        if wake_at is not None:
            out.wake(wake_at)
        return after

    def sent(self, value: bytes) -> Envelope:
        return self.part(value, typed=True)


def transfer_ends(conf: Conf) -> TransferEnds:
    """The stage as conf has it."""
    rules = TransferRules(conf.inventory.transfer_wait_hours, conf.inventory.retry_hours)
    return TransferEnds(StageSettings.of("inventory", conf), rules)


def store_reports(conf: Conf) -> StoreReports:
    """The stage as conf has it."""
    rules = ReportRules(conf.inventory.report_hour)
    return StoreReports(StageSettings.of("inventory", conf), rules, zones(conf))
