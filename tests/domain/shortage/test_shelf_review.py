"""A shelf that must stay as it is is not looked at, and nothing is told otherwise for it."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from tests.support.shelf_shop import BREAD, MONDAY, RULES, Shop
from tillstream.domain.demand.model import DAY_MS, HOUR_MS
from tillstream.domain.promotions.promotion import Promotion
from tillstream.domain.shortage import shelf_review
from tillstream.domain.shortage.line import OK, RUNNING_OUT, SILENT, SOLD_OUT, Shortage
from tillstream.domain.shortage.shelf_review import Quiet
from tillstream.domain.shortage.shelves import StoreWatch
from tillstream.domain.shortage.store import (
    Basket,
    Level,
    apply_basket,
    apply_level,
    apply_promotion,
)

STORE = 45
SHARES = {"2000000000015": 0.3, "2000000000022": 0.1, "2000000000039": 0.03}
KEEN = msgspec.structs.replace(
    RULES, silence=msgspec.structs.replace(RULES.silence, false_alarms_a_year=73.0)
)
Record = Basket | Level | Promotion


def records(seed: int, days: int = 21) -> list[Record]:
    """Days of a store whose shelves are filled too little, emptied unseen, promoted; with late, early,
    void and repeated sales, and levels that come late."""
    chance, out, versions = Random(seed), [], 0
    for day in range(days):
        start = (MONDAY + day) * DAY_MS
        stock = {p: int(360 * share * chance.uniform(0.4, 3)) for p, share in SHARES.items()}
        gone = {p: chance.uniform(8, 25) * HOUR_MS for p in SHARES}  # often not this day
        if day % 3 == 1:
            begin = start + int(chance.uniform(7, 15) * HOUR_MS)
            out.append(Promotion(f"promo-{day}", 1, begin, begin + 5 * HOUR_MS, 250))
        for product, units in stock.items():
            versions += 1
            out.append(Level(product, units, versions, start, start, came=True))
        at = start + 8 * HOUR_MS
        while (at := at + int(chance.expovariate(40) * HOUR_MS) + 1) < start + 18 * HOUR_MS:
            bought = []
            for product, share in SHARES.items():
                if stock[product] and at - start < gone[product] and chance.random() < share:
                    bought.append((product, min(stock[product], chance.choice((1, 1, 2)))))
            moved = chance.choice([0] * 30 + [-60_000, -3 * HOUR_MS, 2 * HOUR_MS])
            sign = chance.choice([1] * 40 + [-1])
            mark = len(out).to_bytes(4, "big")
            basket = Basket("gauteng", at + moved, at + 50, tuple(bought), mark, sign)
            out += [basket] * chance.choice([1] * 50 + [2])
            for product, units in bought:
                stock[product] -= units
                versions += 1
                level = Level(product, stock[product], versions, at, at, came=False)
                out.insert(len(out) - chance.choice((0, 0, 0, 1)), level)
    return out


def run(
    sent: list[Record], quiet: dict[str, Quiet] | None
) -> tuple[list[Shortage], StoreWatch | None]:
    """What is told of the records, and the store after them; ``quiet`` None: nothing is remembered."""
    watch: StoreWatch | None = None
    told: list[Shortage] = []
    for record in sent:
        lines: list[Shortage] = []
        if isinstance(record, Basket):
            after, lines = apply_basket(STORE, watch, record, KEEN, quiet)
        elif isinstance(record, Level):
            after, lines = apply_level(STORE, watch, record, KEEN, quiet)
        else:
            after = apply_promotion(watch, SHARES, record, KEEN, quiet)
        watch = after or watch
        told += lines
    return told, watch


@pytest.mark.parametrize("seed", range(4))
def test_what_is_not_looked_at_would_have_told_nothing(seed, monkeypatch):
    judged = []
    judge = shelf_review.ShelfReview.judge

    def counted(look, product, shelf, filled=False):
        judged.append(product)
        judge(look, product, shelf, filled)

    monkeypatch.setattr(shelf_review.ShelfReview, "judge", counted)
    sent = records(seed)
    every_look, watch = run(sent, None)
    looks = len(judged)
    judged.clear()
    told, quiet_watch = run(sent, {})
    assert told == every_look
    assert msgspec.msgpack.encode(quiet_watch) == msgspec.msgpack.encode(watch)
    assert len(judged) < 0.6 * looks
    assert {line.status for line in told} == {OK, RUNNING_OUT, SOLD_OUT, SILENT}


def test_a_memory_that_is_lost_at_any_time_changes_nothing():
    sent = records(7, days=10)

    class Forgetful(dict):
        chance = Random(7)

        def get(self, product, default=None):
            return default if self.chance.random() < 0.2 else super().get(product, default)

    assert run(sent, Forgetful())[0] == run(sent, None)[0]


@pytest.fixture(scope="module")
def known() -> Shop:
    return Shop().learn()


@pytest.fixture
def calm(known: Shop) -> Shop:
    """At nine, with bread enough for hours."""
    shop = known.twin()
    shop.trade(0, end=9)
    assert shop.level(70, shop.at(0, 9.1), came=True) == []
    assert shop.quiet is not None
    assert shop.quiet[BREAD].until_ms == shop.at(0, 9)  # its clock is that of the last basket
    shop.basket(shop.at(0, 9.05))
    assert shop.quiet[BREAD].until_ms == shop.at(0, 10)
    return shop


def next_look(shop: Shop) -> list[str]:
    return [line.status for line in shop.basket(shop.at(0, 9.1))]


def test_a_calm_shelf_is_not_looked_at(calm):
    before = dict(calm.quiet)
    assert next_look(calm) == []
    assert calm.quiet[BREAD] is before[BREAD]


def test_a_promotion_is_felt_at_the_next_look(calm):
    start = calm.at(0, 9)
    campaign = Promotion("promo-0001", 1, start, start + DAY_MS, 1500)
    apply_promotion(calm.watch, [BREAD], campaign, calm.rules, calm.quiet)
    assert next_look(calm) == [RUNNING_OUT]


def test_a_promotion_that_begins_within_the_hour_is_felt_then(calm):
    start = calm.at(0, 9.08)
    campaign = Promotion("promo-0001", 1, start, start + DAY_MS, 1500)
    apply_promotion(calm.watch, [BREAD], campaign, calm.rules, calm.quiet)
    assert calm.basket(calm.at(0, 9.07)) == []
    assert next_look(calm) == [RUNNING_OUT]


def test_sales_that_come_late_are_felt_at_the_next_look(calm):
    for _ in range(100):
        assert calm.basket(calm.at(0, 8.9), 2) == []
    assert next_look(calm) == [RUNNING_OUT]


def test_a_silence_of_several_days_is_found_with_the_same_basket():
    remembers = Shop(share=0.01, seed=5).learn(28)
    forgets = remembers.twin()
    forgets.quiet = None
    for shop in (remembers, forgets):
        for day in range(6):
            shop.trade(day, bread=False)
    assert [line.status for line in remembers.told] == [SILENT]
    assert remembers.told == forgets.told
