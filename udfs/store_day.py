"""The inventory job's stage for a store as a whole: what its manager hears of all shelves together."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from pyflink.datastream import RuntimeContext

from tillstream.conf import Conf
from tillstream.domain.envelope import Envelope
from tillstream.domain.local_time import RulesByPlace
from tillstream.domain.stock.actions import Action
from tillstream.domain.stock.store_day import ReportRules, ShelfNews, StoreDays, on_news, on_report
from tillstream.reference import zones
from tillstream.state_schemas.keyed import store_day
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings


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
        self.encode_body = msgspec.json.Encoder().encode

    def record(self, state: StoreDays | None, value: bytes, out: Outputs) -> StoreDays | None:
        store, news = self.decode_news(value)
        after, actions, wake_at = on_news(state, store, news, out.now_ms, self.rules.of(store))
        self._act(actions, out)
        if wake_at is not None:
            out.wake(wake_at)
        return after

    def due(self, state: StoreDays | None, key: str, at_ms: int, out: Outputs) -> StoreDays | None:
        if state is None:
            return None
        now_ms = max(out.now_ms, at_ms)
        after, actions = on_report(state, int(key), now_ms, self.rules.of(int(key)))
        self._act(actions, out)
        return after

    def _act(self, actions: list[Action], out: Outputs) -> None:
        for action in actions:
            out.emit(f"{action.route}|{action.key}\n".encode() + self.encode_body(action.body))

    def sent(self, value: bytes) -> Envelope:
        return self.part(value, typed=True)


def store_reports(conf: Conf) -> StoreReports:
    """The stage as conf has it."""
    rules = ReportRules(conf.inventory.report_hour)
    return StoreReports(StageSettings.of("inventory", conf), rules, zones(conf))
