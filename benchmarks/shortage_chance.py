"""Whether a count of alarms agrees with the number stated: intervals, and streams longer than the data.

One shop's half year has room for one false alarm at the default. So there are two longer ones:

- The same days, shuffled: each day's sales of the product are dealt anew to that day's baskets, hour
  by hour as likely as in these days altogether. Days keep their luck and their order, and a shelf that
  was empty for an hour is not in it. ``rounds`` of them are as many independent years.
- The whole till: each of its best sellers is a shelf. These are real days, in which things run out.
  After a false alarm sales go on at their usual rate; after a true one none come. So beside the count
  stand the sales that were due after the alarms, and those that came. Source: a Poisson process has no
  memory, so what follows an alarm of a full shelf is as if there had been none.
"""

from __future__ import annotations

import csv
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tillstream.domain.demand import model as dm
from tillstream.domain.demand.counts import negative_binomial_tail
from tillstream.domain.demand.model import DAY_MS, HOUR_MS
from tillstream.domain.shortage.line import OK, SILENT
from tillstream.domain.shortage.shelves import ShortageRules, StoreWatch
from tillstream.domain.shortage.store import Basket, apply_basket

BEST_SELLERS = 20


class Sold(NamedTuple):
    """A basket: when, and units by product."""

    at_ms: int
    units: Counter[str]


Days = dict[int, list[Sold]]


def load(path: Path) -> tuple[Days, list[str]]:
    """Local day -> its baskets in order of time; products, the best seller first."""
    found: dict[tuple[str, str], Sold] = {}
    total: Counter[str] = Counter()
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(f"{row['date']}T{row['time']}").replace(tzinfo=UTC)
            basket = found.setdefault(
                (row["date"], row["transaction"]), Sold(round(at.timestamp() * 1000), Counter())
            )
            basket.units[row["item"]] += 1
            total[row["item"]] += 1
    days: Days = defaultdict(list)
    for basket in found.values():
        days[basket.at_ms // DAY_MS].append(basket)
    ordered = {day: sorted(days[day], key=lambda b: b.at_ms) for day in sorted(days)}
    return ordered, [name for name, _ in total.most_common() if name != "NONE"]


def alarms(days: Days, products: list[str], rules: ShortageRules) -> list[tuple[str, int]]:
    """(product, time) of every silence that was told."""
    watch: StoreWatch | None = None
    out, number = [], 0
    for visits in days.values():
        for at_ms, units in visits:
            number += 1
            lines = tuple((p, units[p]) for p in products if p in units)
            basket = Basket("here", at_ms, at_ms, lines, number.to_bytes(4, "big"))
            after, told = apply_basket(1, watch, basket, rules)
            watch = after or watch
            out += [(t.product, t.at_ms) for t in told if t.status == SILENT and t.before == OK]
    return out


def shuffled_days(
    days: Days, later: list[int], product: str, rounds: int, rules: ShortageRules
) -> dict[str, Any]:
    """False alarms of shelves that were never empty, in ``rounds`` times the later days."""
    visits: Counter[int] = Counter()
    buys: Counter[int] = Counter()
    for day in days.values():
        for at_ms, units in day:
            visits[hour_of(at_ms)] += 1
            buys[hour_of(at_ms)] += product in units
    share = {hour: max(buys[hour] / visits[hour], 1e-9) for hour in visits}
    seen = 0
    for number in range(rounds):
        chance = Random(number)
        dealt = {day: _dealt(baskets, product, share, chance) for day, baskets in days.items()}
        seen += sum(at >= later[0] * DAY_MS for _, at in alarms(dealt, [product], rules))
    stated = rules.silence.false_alarms_a_year / 365 * len(later) * rounds
    return against(seen, stated) | {"days": len(later) * rounds}


def _dealt(
    baskets: list[Sold], product: str, share: dict[int, float], chance: Random
) -> list[Sold]:
    """The day with its sales dealt anew: weighted, without replacement (Efraimidis, Spirakis 2006)."""
    sizes = [b.units[product] for b in baskets if product in b.units]
    order = sorted(
        range(len(baskets)),
        key=lambda n: chance.random() ** (1 / share[hour_of(baskets[n].at_ms)]),
        reverse=True,
    )
    dealt = dict(zip(order, sizes, strict=False))
    return [
        Sold(b.at_ms, Counter({product: dealt[n]} if n in dealt else {}))
        for n, b in enumerate(baskets)
    ]


def whole_till(
    days: Days, later: list[int], products: list[str], rules: ShortageRules
) -> dict[str, Any]:
    """Alarms of the best sellers in the later days, and what came after them."""
    products = products[:BEST_SELLERS]
    since = later[0] * DAY_MS
    told = [(product, at) for product, at in alarms(days, products, rules) if at >= since]
    rate: dict[tuple[str, int, int], float] = Counter()
    kinds = Counter(map(kind_of, later))
    for day in later:
        kind = kind_of(day)
        for at_ms, units in days[day]:
            for product in units:
                rate[product, kind, hour_of(at_ms)] += 1 / kinds[kind]
    due, came, never = 0.0, 0, 0
    for product, at in told:
        day = at // DAY_MS
        ahead = [b.at_ms for b in days[day] if b.at_ms > at and product in b.units]
        came += bool(ahead)
        never += not ahead
        end = ahead[0] if ahead else days[day][-1].at_ms
        kind = kind_of(day)
        for hour in range(hour_of(at), hour_of(end) + 1):
            begin = max(at, day * DAY_MS + hour * HOUR_MS)
            until = min(end, day * DAY_MS + (hour + 1) * HOUR_MS)
            due += rate.get((product, kind, hour), 0.0) * max(until - begin, 0) / HOUR_MS
    stated = rules.silence.false_alarms_a_year / 365 * len(later) * len(products)
    return against(len(told), stated) | {
        "products": len(products),
        "sales_due_after_them_until_the_next_or_closing": round(due, 1),
        "sales_that_came": came,
        "none_came_that_day": never,
        "by_product": dict(Counter(product for product, _ in told).most_common()),
    }


def kind_of(day: int) -> int:
    """0 for Monday to Friday, 1 for Saturday, 2 for Sunday."""
    return max(dm.weekday(day) - 4, 0)


def hour_of(at_ms: int) -> int:
    return at_ms % DAY_MS // HOUR_MS


def against(seen: int, stated: float) -> dict[str, Any]:
    """The count, the number stated, and the 95 % interval of the ratio."""
    low, high = poisson_interval(seen)
    return {
        "false_alarms_stated": round(stated, 2),
        "false_alarms": seen,
        "of_stated": round(seen / stated, 2),
        "of_stated_interval": [round(low / stated, 2), round(high / stated, 2)],
    }


def poisson_interval(count: int) -> tuple[float, float]:
    """Exact 95 % interval of the mean behind a count (Garwood 1936)."""
    tail, most = 0.025, count + 10 + 10 * (count + 1) ** 0.5

    def least(enough: Callable[[float], bool]) -> float:
        low, high = 0.0, most
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return high

    low = least(lambda mean: poisson_tail(count, mean) >= tail) if count else 0.0
    return low, least(lambda mean: poisson_tail(count + 1, mean) >= 1 - tail)


def poisson_tail(count: int, mean: float) -> float:
    """P(N >= count) for a Poisson N, which is a negative binomial without spread."""
    return negative_binomial_tail(count, mean, 1e12)


def median_interval(by_day: Iterable[list[float]]) -> tuple[float, float]:
    """Of the median of all values, 95 %: days drawn with replacement, for those of one day are alike."""
    groups, chance = [group for group in by_day if group], Random(1979)
    medians = sorted(
        statistics.median(v for group in chance.choices(groups, k=len(groups)) for v in group)
        for _ in range(1000)
    )
    return medians[25], medians[-26]
