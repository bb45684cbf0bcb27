"""Simulated days of a store that sells bread, for tests of the shortage rules."""

from __future__ import annotations

import copy
from random import Random

from tillstream.domain.demand.model import DAY_MS, HOUR_MS, DemandRules
from tillstream.domain.shortage.line import Shortage
from tillstream.domain.shortage.shelf_review import Quiet
from tillstream.domain.shortage.shelves import ShortageRules, StoreWatch
from tillstream.domain.shortage.store import Basket, Level, apply_basket, apply_level

BREAD = "2000000000015"
MONDAY = 20_416
RULES = ShortageRules(demand=DemandRules(), lead_minutes=60)


class Shop:
    """A store open from 8 to 18, ``baskets`` an hour, a share of which hold bread."""

    def __init__(self, store: int = 45, baskets: float = 40, share: float = 0.25, seed: int = 1,
                 rules: ShortageRules = RULES, region: str = "gauteng"):  # fmt: skip
        self.store, self.baskets, self.share, self.rules = store, baskets, share, rules
        self.region = region
        self.chance = Random(f"{seed} {store}")
        self.watch: StoreWatch | None = None
        self.told: list[Shortage] = []
        self.stock: int | None = None
        self.marks = self.levels = 0
        self.quiet: dict[str, Quiet] | None = {}

    def at(self, day: int, hour: float) -> int:
        return int((MONDAY + day) * DAY_MS + hour * HOUR_MS)

    def basket(self, at_ms: int, units: int = 0, arrived_ms: int | None = None,
               sign: int = 1, mark: bytes | None = None) -> list[Shortage]:  # fmt: skip
        self.marks += 1
        lines = ((BREAD, units),) if units else ()
        made = Basket(
            self.region, at_ms, arrived_ms or at_ms, lines, mark or self.marks.to_bytes(4, "big"),
            sign,
        )  # fmt: skip
        after, lines_told = apply_basket(self.store, self.watch, made, self.rules, self.quiet)
        self.watch = after or self.watch
        self.told += lines_told
        return lines_told

    def level(self, stock: int, at_ms: int, came: bool = False) -> list[Shortage]:
        self.stock = stock
        self.levels += 1
        made = Level(BREAD, stock, self.levels, at_ms, at_ms, came)
        after, lines = apply_level(self.store, self.watch, made, self.rules, self.quiet)
        self.watch = after or self.watch
        self.told += lines
        return lines

    def trade(self, day: int, start: float = 8, end: float = 18, busy: float = 1.0,
              bread: bool = True) -> list[Shortage]:  # fmt: skip
        """Visitors of these hours; with stock known, it falls, and without bread none is sold."""
        before = len(self.told)
        at = float(self.at(day, start))
        while (at := at + self.chance.expovariate(self.baskets * busy) * HOUR_MS) < self.at(
            day, end
        ):
            wants = self.chance.random() < self.share
            sells = wants and bread and self.stock != 0
            self.basket(int(at), int(sells))
            if sells and self.stock is not None:
                self.level(self.stock - 1, int(at))
        return self.told[before:]

    def learn(self, days: int = 21) -> Shop:
        """Ordinary days before day 0; what was told of them is dropped."""
        for day in range(-days, 0):
            self.trade(day)
        self.told.clear()
        return self

    def twin(self) -> Shop:
        return copy.deepcopy(self)
