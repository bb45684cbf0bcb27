"""Documents about stock among the till transactions: a first count and plan of everything, then
deliveries, transfers, write-offs and counts; the same for the same seed and arguments.

Faults come in the shares that the simulator has for transactions: documents twice, malformed, late.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import orjson

from tillstream.sim.simulator import LATE_MS, Record, Sent, Simulator
from tillstream.sim.world import load_products, load_stores, rows

HOUR_MS = 3_600_000
OPENED_BEFORE_MS = 24 * HOUR_MS  # the first count, so that late sales come after it
CENTRE_HAS = (0, 400, 20_000)  # pieces: nothing, little, plenty
REASONS = ("expired", "damaged", "stolen", "given_away")


class WithStock:
    """``traffic`` with ``share`` of its records replaced by documents about stock."""

    def __init__(
        self, traffic: Simulator, share: float, stores: int | None, products: int | None
    ) -> None:
        self.traffic, self.share = traffic, share
        self.start_ms, self.rate = traffic.start_ms, traffic.rate
        self._rng = Random(f"stock {traffic.seed}")
        self._stores = [store.number for store in load_stores()[:stores]]
        self._products = [product.gtin for product in load_products()[:products]]
        self._made = 0
        self._recent: list[Sent] = []

    def __iter__(self) -> Iterator[Sent]:
        count, sent = self.traffic.count, 0
        yield from self._opening()
        waiting: list[Sent] = []
        for record in self.traffic:
            if count is not None and sent >= count:
                return
            yield record
            sent += 1
            while waiting or self._rng.random() < self.share / (1 - min(self.share, 0.9)):
                if not waiting:
                    now_ms = self.start_ms + int(sent * 1000 / self.rate)
                    waiting = self._some(now_ms)
                if count is not None and sent >= count:
                    return
                yield waiting.pop(0)
                sent += 1

    def _opening(self) -> Iterator[Sent]:
        at_ms = self.start_ms - OPENED_BEFORE_MS
        for centre in rows("centres.csv"):
            lines = [
                {"product": p, "quantity": self._rng.choice(CENTRE_HAS)} for p in self._products
            ]
            yield self._sent(self._document("count", int(centre["centre"]), at_ms, lines))
        for store in self._stores:
            plans = {p: self._rng.choice((12, 40, 80, 200)) for p in self._products}
            planned = [{"product": p, "quantity": n} for p, n in plans.items()]
            found = [
                {"product": p, "quantity": n - self._rng.randrange(5)} for p, n in plans.items()
            ]
            yield self._sent(self._document("plan", store, at_ms - 1, planned))
            yield self._sent(self._document("count", store, at_ms, found))

    def _some(self, now_ms: int) -> list[Sent]:
        """The next document; two of them for a transfer."""
        draw, faults = self._rng.random(), self.traffic.faults
        if draw < faults.malformed:
            return [self._malformed(now_ms)]
        if draw < faults.malformed + faults.duplicates and self._recent:
            return [self._rng.choice(self._recent)._replace(klass="duplicate")]
        klass = "ok"
        if draw < faults.malformed + faults.duplicates + faults.late:
            now_ms -= self._rng.randrange(*LATE_MS)
            klass = "late"
        return [self._sent(document, klass) for document in self._documents(now_ms)]

    def _documents(self, at_ms: int) -> list[Record]:
        rng = self._rng
        store, draw = rng.choice(self._stores), rng.random()
        if draw < 0.45:
            return [self._document("delivery", store, at_ms, self._lines(20, 60))]
        if draw < 0.60:
            lines = self._lines(4, 12)
            reference = f"T{self._made:07d}"
            there = rng.choice(self._stores)
            left_ms = at_ms - rng.randrange(HOUR_MS, 4 * HOUR_MS)  # both are booked on arrival
            return [
                self._document("transfer_out", store, left_ms, lines, reference=reference),
                self._document("transfer_in", there, at_ms, lines, reference=reference),
            ]
        if draw < 0.80:
            lines = self._lines(3, 6)
            return [self._document("write_off", store, at_ms, lines, reason=rng.choice(REASONS))]
        kind = "count" if draw < 0.97 else "plan"
        return [self._document(kind, store, at_ms, self._lines(6, 80))]

    def _lines(self, most: int, pieces: int) -> list[Record]:
        rng = self._rng
        chosen = rng.sample(self._products, rng.randrange(1, min(most, len(self._products)) + 1))
        return [{"product": p, "quantity": rng.randrange(1, pieces + 1)} for p in chosen]

    def _document(
        self, kind: str, place: int, at_ms: int, lines: list[Record], **more: Any
    ) -> Record:
        self._made += 1
        return {
            "schema": 1,
            "document_id": f"{place:04d}-{kind.replace('_', '-')}-{self.traffic.seed}-{self._made:07d}",
            "kind": kind,
            "store": place,
            "event_time_ms": at_ms,
            "lines": lines,
            **more,
        }

    def _malformed(self, at_ms: int) -> Sent:
        document = self._document("delivery", self._rng.choice(self._stores), at_ms, [])
        kind, changed = self._rng.choice(
            [("no_lines", {}), ("not_allowed", {"kind": "lost"}), ("wrong_type", {"store": "45"})]
        )
        raw = orjson.dumps({**document, **changed})
        return Sent("malformed", document["document_id"], raw, None, kind, "movements")

    def _sent(self, document: Record, klass: str = "ok") -> Sent:
        made = Sent(
            klass, document["document_id"], orjson.dumps(document), document, None, "movements"
        )
        self._recent = [*self._recent[-199:], made]
        return made
