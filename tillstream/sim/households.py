"""Who shares an account of points, before the till transactions: the same for the same seed and arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

import orjson

from tillstream.sim.senders import HOUSEHOLDS
from tillstream.sim.simulator import Sent, Simulator

JOINED_BEFORE_MS = 24 * 3_600_000  # so that late sales come after it


class WithHouseholds:
    """``traffic`` after the events by which ``share`` of the simulator's customers joined a household, two by
    two."""

    def __init__(self, traffic: Iterable[Sent], of: Simulator, share: float) -> None:
        self._traffic = traffic
        self.start_ms, self.rate = of.start_ms, of.rate
        rng = Random(f"households {of.seed}")
        ids = of.customers
        who = rng.sample(ids, 2 * round(len(ids) * share / 2))
        self._joins = [self._join(n, one, rng.random() < 0.5) for n, one in enumerate(who)]

    def __iter__(self) -> Iterator[Sent]:
        yield from self._joins
        yield from self._traffic

    def _join(self, n: int, customer: str, moves: bool) -> Sent:
        record = {
            "schema": 1,
            "event_id": f"{customer}-joins",
            "kind": "join",
            "customer_id": customer,
            "household_id": f"H{self.start_ms}-{n // 2}",
            "points": "all" if moves else "none",
            "reason": "family",
            "by": "sim",
            "event_time_ms": self.start_ms - JOINED_BEFORE_MS,
        }
        return Sent("ok", customer, orjson.dumps(record), record, stream=HOUSEHOLDS)
