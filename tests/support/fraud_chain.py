"""The stages of the fraud job one after the other, without an engine."""

from __future__ import annotations

import json
from typing import Any

from tests.support import sales
from tests.support.batched_harness import BatchedHarness
from tests.support.sales import CARD, T0
from tillstream.conf import load
from tillstream.domain.envelope import seal
from tillstream.fraud.rules_file import packaged_rules
from tillstream.fraud.texts import asking
from tillstream.reference import packaged_clocks, packaged_rates
from tillstream.udfs.fraud import JudgeSales
from tillstream.udfs.fraud.counters import CountAtTill, CountByCard
from tillstream.udfs.fraud.staff import WatchCashier, WeighInStore, limits_of
from tillstream.udfs.stage import StageSettings

LABELS = "fraud-labels"
TRANSACTIONS = "transactions"
SETTINGS = StageSettings("fraud")
DAY_MS = 86_400_000


def sale(number: int, at_ms: int = T0, cents: int = 40_000, **changes: Any) -> dict[str, Any]:
    """A card sale of R400 by C0000012345 at store 23."""
    return sales.sale(f"0023-04-2025-{number:06d}", at_ms, cents, **CARD | changes)


def label_of(sold: dict[str, Any], fraud: bool, at_ms: int | None = None, **changes: Any) -> dict:
    made = {
        "transaction_id": sold["transaction_id"],
        "fraud": fraud,
        "event_time_ms": sold["event_time_ms"],
        "labelled_ms": at_ms or sold["event_time_ms"] + 60_000,
        "store": sold["store"],
        "till": sold["till"],
        "customer_id": sold.get("customer_id"),
        "card_token": sold.get("card_token"),
        "source": "review",
    }
    return made | changes


class Chain:
    """``out``: name of an output -> what came, as dicts."""

    def __init__(
        self,
        rules: bytes | None = None,
        kept: dict[str, bytes] | None = None,
        refunds_after_ms: int = 0,
        **options: Any,
    ) -> None:
        conf = load("local")
        options = {"audit_passes": False, "explain_passes": False, "keep_days": 90} | options
        self.till = BatchedHarness(
            CountAtTill(SETTINGS, LABELS, 7, packaged_rates(), refunds_after_ms)
        )
        self.card = BatchedHarness(CountByCard(SETTINGS, 7, packaged_clocks(), "ZAR"))
        rules = rules or packaged_rules().raw
        self.judge = BatchedHarness(
            JudgeSales(
                SETTINGS, rules, packaged_clocks(), packaged_rates(), asking(conf), **options
            ),
            kept=kept,
        )
        self.cashier = BatchedHarness(WatchCashier(SETTINGS, limits_of(conf), packaged_clocks()))
        self.store = BatchedHarness(WeighInStore(SETTINGS, limits_of(conf), 90))
        self.offset = 0

    def send(self, document: Any, arrived_ms: int | None = None, topic: str = TRANSACTIONS) -> None:
        self._through([self._record(document, arrived_ms, topic)])

    def send_all(self, documents: list[dict[str, Any]]) -> None:
        """In batches of a hundred."""
        for start in range(0, len(documents), 100):
            self._through([self._record(d) for d in documents[start : start + 100]])

    def _record(
        self, document: Any, arrived_ms: int | None = None, topic: str = TRANSACTIONS
    ) -> tuple[str, bytes]:
        fields = document if isinstance(document, dict) else {}
        self.offset += 1
        arrived = arrived_ms or fields.get("event_time_ms", T0) + 50
        raw = as_read(topic, document, arrived)
        record = seal(f"kafka:{topic}/0/{self.offset}", arrived, raw)
        return f"{fields.get('store')}:{fields.get('till')}", record

    def _through(self, records: list[tuple[str, bytes]]) -> None:
        before = [len(stage.side["staff"]) for stage in (self.till, self.card)]
        for stage in (self.till, self.card, self.judge):
            if records:
                records = [split(value) for value in stage.process(*records)]
        acts = [
            split(value)
            for stage, seen in zip((self.till, self.card), before, strict=True)
            for value in stage.side["staff"][seen:]
        ]
        if acts and (found := [split(value) for value in self.cashier.process(*acts)]):
            self.store.process(*found)

    def label(self, document: Any) -> None:
        self.send(document, topic=LABELS)

    def reply(self, document: Any, arrived_ms: int) -> None:
        """To the judge alone, by the customer."""
        self.offset += 1
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        key = document["customer_id"] if isinstance(document, dict) else "~1"
        record = seal(f"kafka:fraud-replies/0/{self.offset}", arrived_ms, raw)
        self.judge.process((key, record))

    def order(self, mode: str, rules: bytes | None, version: str = "") -> None:
        self.offset += 1
        version = version or (json.loads(rules)["version"] if rules else "")
        raw = json.dumps({"mode": mode, "version": version, "pushed_ms": 1, "by": "test"}).encode()
        raw = raw[:-1] + b',"rules":' + (rules or b"null") + b"}"
        self.raw_order(raw)

    def raw_order(self, raw: bytes) -> None:
        self.judge.control(seal(f"kafka:fraud-rules/0/{self.offset}", T0, raw))

    @staticmethod
    def signals(kept: dict[str, Any]) -> dict[str, float]:
        """Of a row of the audit."""
        return json.loads(kept["decision"])["signals"]

    @property
    def out(self) -> dict[str, list[dict[str, Any]]]:
        found = {"audit": self.judge.main}
        for name in JudgeSales.sides:
            found[name] = self.judge.side[name]
        earlier = self.till.side["dead-letters"] + self.card.side["dead-letters"]
        found["staff-cases"] = self.store.main
        found["notices"] = found["notices"] + self.store.side["notices"]
        found["dead-letters"] = earlier + found["dead-letters"]
        return {name: [json.loads(value) for value in values] for name, values in found.items()}


def as_read(topic: str, document: Any, arrived_ms: int) -> bytes:
    """What is on ``topic`` of it: a transaction of v1 has gone through the front door."""
    if isinstance(document, bytes):
        return document
    if topic == TRANSACTIONS:
        return sales.canonical(document, arrived_ms=arrived_ms)
    return json.dumps(document).encode()


def split(value: bytes) -> tuple[str, bytes]:
    """The key in the first line, and the rest."""
    key, _, rest = value.partition(b"\n")
    return key.decode(), rest
