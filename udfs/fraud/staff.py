"""The fraud job's two stages about staff: what a cashier does, then against what is usual in the store."""

from __future__ import annotations

import msgspec

from tillstream.conf import Conf
from tillstream.domain.envelope import Envelope
from tillstream.domain.fraud.places import Places
from tillstream.domain.staff import Book, Limits, observe_act
from tillstream.domain.staff_case import StoreBook, weigh_finding
from tillstream.reference import clocks
from tillstream.state_schemas.keyed import fraud_staff, fraud_store
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.passing.staff import read_act, read_finding, to_store
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings

_json = msgspec.json.Encoder().encode


class WatchCashier(BatchedStage):
    """Keyed by store and cashier. In: acts of `CountAtTill`. Out: findings for the stage keyed by store."""

    title = "watch by cashier"
    codec = fraud_staff.CODEC

    def __init__(self, settings: StageSettings, limits: Limits, places: Places) -> None:
        super().__init__(settings)
        self.limits, self.places = limits, places

    def record(self, state: Book | None, value: bytes, out: Outputs) -> Book:
        after, found = observe_act(state, read_act(value), self.limits, self.places)
        for finding in found:
            out.emit(to_store(finding))
        return after

    def sent(self, value: bytes) -> Envelope:
        act = read_act(value)
        return self.part(_json(act), act.at_ms, typed=True)


class WeighInStore(BatchedStage):
    """Keyed by store. In: what `WatchCashier` finds. Out: cases for people; to the sides: notices, dead
    letters. All JSON bytes."""

    title = "weigh in store"
    codec = fraud_store.CODEC
    sides = ("notices", DEAD_LETTERS)

    def __init__(self, settings: StageSettings, limits: Limits, keep_days: int) -> None:
        super().__init__(settings)
        self.limits, self.keep_days = limits, keep_days

    def record(self, state: StoreBook | None, value: bytes, out: Outputs) -> StoreBook:
        finding = read_finding(value)
        after, case, told = weigh_finding(state, finding, self.limits, self.keep_days)
        if case is not None:
            out.emit(_json(case))
        if told is not None:
            out.emit(_json(told), "notices")
        return after

    def sent(self, value: bytes) -> Envelope:
        finding = read_finding(value)
        return self.part(_json(finding), finding.act.at_ms, typed=True)


def limits_of(conf: Conf) -> Limits:
    """Of the rules, which know no settings."""
    return msgspec.convert(msgspec.to_builtins(conf.fraud.staff), Limits)


def by_cashier(conf: Conf) -> WatchCashier:
    """The first of the two as conf has it."""
    return WatchCashier(StageSettings.of("fraud", conf), limits_of(conf), clocks(conf))


def by_store(conf: Conf) -> WeighInStore:
    """The second of the two as conf has it."""
    return WeighInStore(StageSettings.of("fraud", conf), limits_of(conf), conf.fraud.keep_days)
