"""How soon an empty shelf is found, how well its emptying is foretold, and how often wolf is cried.

``python -m benchmarks.shortage_quality [--data FILE] [--product Bread]``

Part one takes the till of a real shop: a CSV of date, time, transaction, item (local time). The shop's
first half teaches; every figure is of the later half, which nothing here was tuned on.

- Untouched days count false alarms, against the number that the rule states.
- Then shelves are emptied: at a random moment the next buyer takes the last one, and nobody finds
  another until closing; who came for nothing else does not come. Delay runs from that last sale to
  the alarm. The floor is the time in which -ln(alpha) sales were due, by the true mean rate of that
  kind of day and hour in the later half itself; alpha is the one that the stated number allows.
- Run-out: at each full hour, when will so many units have sold? Against the same weekday last week.

Part two says how far the counts are to be trusted: ``benchmarks/shortage_chance.py``.

Part three is a chain of 200 simulated stores in five regions of which one gets no bread: ``--chain``.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import statistics
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import shortage_chance
from benchmarks.shortage_chain import chain
from benchmarks.shortage_chance import hour_of, kind_of
from tillstream.domain.demand import forecast as fc
from tillstream.domain.demand import model as dm
from tillstream.domain.demand.model import DAY_MS, HOUR_MS, DemandRules
from tillstream.domain.shortage import silence as sl
from tillstream.domain.shortage.line import OK, SILENT
from tillstream.domain.shortage.shelves import ShortageRules, StoreWatch
from tillstream.domain.shortage.silence import SilenceRules
from tillstream.domain.shortage.store import Basket, apply_basket

DATA = Path(__file__).parents[2] / "shared/data/bakery_till_2016-10_to_2017-04.csv"
STORE, PRODUCT = 1, "20000000"
LOCAL = DemandRules()
BUDGETS = (73.0, 24.0, 4.0)  # false alarms a year; the last is the default
PLANTS_A_DAY = 24
ROUNDS = 200  # of shuffled days


class Visit(NamedTuple):
    """A basket: when, units of the product, whether it holds anything else."""

    at_ms: int
    units: int
    other: bool


def visits_of(till: shortage_chance.Days, product: str) -> dict[int, list[Visit]]:
    """What ``product``'s shelf sees of a till: local day -> its baskets in order of time."""
    return {
        day: sorted(
            Visit(at_ms, units[product], len(units) > (product in units))
            for at_ms, units in baskets
        )
        for day, baskets in till.items()
    }


def basket(visit: Visit, number: int) -> Basket:
    lines = ((PRODUCT, visit.units),) if visit.units else ()
    return Basket("here", visit.at_ms, visit.at_ms, lines, (number % 2**32).to_bytes(4, "big"))


def play(watch: StoreWatch | None, visits: list[Visit], rules: ShortageRules):
    """The store after these baskets, and the lines told on the way."""
    told = []
    for number, visit in enumerate(visits, visits[0].at_ms // DAY_MS * 4096):
        after, lines = apply_basket(STORE, watch, basket(visit, number), rules)
        watch = after or watch
        told += [line for line in lines if line.product == PRODUCT]
    return watch, told


def emptied(visits: list[Visit], last_ms: int) -> list[Visit]:
    """The day as it would have gone if the product had been gone after ``last_ms``."""
    out = []
    for visit in visits:
        if visit.at_ms <= last_ms or not visit.units:
            out.append(visit)
        elif visit.other:
            out.append(visit._replace(units=0))
    return out


def rules_of(budget: float, margin: float) -> ShortageRules:
    silence = SilenceRules(false_alarms_a_year=budget, margin=margin)
    return ShortageRules(demand=LOCAL, silence=silence, max_shelves=64)


class TrueRate:
    """Mean sales an hour by kind of day and hour, over these days themselves."""

    def __init__(self, days: dict[int, list[Visit]]):
        self.sales: dict[tuple[int, int], float] = defaultdict(float)
        kinds: dict[int, int] = defaultdict(int)
        for day, visits in days.items():
            kinds[kind_of(day)] += 1
            for visit in visits:
                if visit.units:
                    self.sales[kind_of(day), hour_of(visit.at_ms)] += 1
        for kind, hour in self.sales:
            self.sales[kind, hour] /= kinds[kind]

    def reached_ms(self, start_ms: int, due: float) -> float:
        """When ``due`` sales were due after ``start_ms``, within the day; else infinity."""
        day, at = start_ms // DAY_MS, start_ms
        while at // DAY_MS == day:
            end = at - at % HOUR_MS + HOUR_MS
            rate = self.sales.get((kind_of(day), hour_of(at)), 0.0)
            units = rate * (end - at) / HOUR_MS
            if units >= due > 0:
                return at + due / rate * HOUR_MS
            due -= units
            at = end
        return math.inf


def silent_shelves(
    days: dict[int, list[Visit]], later: list[int], rules: ShortageRules
) -> dict[str, Any]:
    """Delay against the floor, and false alarms against the budget."""
    budget = rules.silence.false_alarms_a_year
    truth = TrueRate({day: days[day] for day in later})
    chance = Random(20170409)
    watch: StoreWatch | None = None
    false_alarms, silences, alphas = 0, 0, []
    delays, floors, too_late, missed = [], [], 0, 0
    by_day: dict[int, list[float]] = defaultdict(list)
    for day, visits in days.items():
        if day in later and watch is not None:
            for _ in range(PLANTS_A_DAY):
                moment = chance.uniform(visits[0].at_ms, visits[-1].at_ms)
                last = next((v.at_ms for v in visits if v.units and v.at_ms >= moment), None)
                if last is None:
                    continue
                trial, told = play(copy.deepcopy(watch), emptied(visits, last), rules)
                assert trial is not None
                alpha = sl.stated_alpha(trial.shelves[PRODUCT].appeal, rules.silence)
                floor = truth.reached_ms(last, -math.log(alpha)) - last
                if last + floor > visits[-1].at_ms - 15 * 60_000:
                    too_late += 1
                    continue
                found = [t.at_ms for t in told if t.status == SILENT and t.at_ms > last]
                floors.append(floor)
                delays.append(found[0] - last if found else math.inf)
                missed += not found
                by_day[day].append(delays[-1] / floor)
        watch, told = play(watch, visits, rules)
        assert watch is not None
        if day in later:
            false_alarms += sum(t.status == SILENT and t.before == OK for t in told)
            silences += sum(1 for v in visits if v.units) + 1
            alphas.append(sl.stated_alpha(watch.shelves[PRODUCT].appeal, rules.silence))
    ratios = sorted(d / f for d, f in zip(delays, floors, strict=True))
    return {
        "false_alarms_a_year_stated": budget,
        "alpha_stated": round(statistics.median(alphas), 6),
        "days": len(later),
        **shortage_chance.against(false_alarms, budget / 365 * len(later)),
        "silences": silences,
        "planted": len(ratios),
        "planted_too_late_for_any_test": too_late,
        "not_found_by_closing": missed,
        "median_delay_min": round(statistics.median(delays) / 60_000, 1),
        "median_floor_min": round(statistics.median(floors) / 60_000, 1),
        "median_delay_over_floor": round(statistics.median(ratios), 3),
        "interval": [round(v, 3) for v in shortage_chance.median_interval(by_day.values())],
        "quartiles": [round(ratios[len(ratios) * q // 4], 3) for q in (1, 3)],
    }


def run_out(days: dict[int, list[Visit]], later: list[int]) -> dict[str, Any]:
    """Mean absolute error of the time at which so many units have sold, in minutes."""
    rules = ShortageRules(demand=LOCAL)
    watch: StoreWatch | None = None
    ours, naive, inside, asked = [], [], 0, 0
    for day, visits in days.items():
        last_week = [at + 7 * DAY_MS for at in sales(days.get(day - 7, []))]
        if day in later and last_week and watch is not None:
            close = visits[-1].at_ms
            for hour in range(24):
                now = day * DAY_MS + hour * HOUR_MS
                if not visits[0].at_ms < now < close:
                    continue
                seen, _ = play(copy.deepcopy(watch), [v for v in visits if v.at_ms <= now], rules)
                assert seen is not None
                demand = dm.roll(seen.shelves[PRODUCT].demand, now, LOCAL)
                ahead = [at for at in sales(visits) if at > now]
                before = [at for at in last_week if at > now]
                for stock in (3, 5, 8, 12):
                    if len(ahead) < stock:
                        continue
                    actual = ahead[stock - 1]
                    soon = fc.run_out(demand, now, stock, LOCAL, (day + 1) * DAY_MS - now)
                    ours.append(abs(min(soon.median_ms or close, close) - actual))
                    then = before[stock - 1] if len(before) >= stock else close
                    naive.append(abs(min(then, close) - actual))
                    inside += (soon.early_ms or 0) <= actual <= (soon.late_ms or close)
                    asked += 1
        watch, _ = play(watch, visits, rules)
    mae, mae_naive = statistics.fmean(ours) / 60_000, statistics.fmean(naive) / 60_000
    return {
        "questions": asked,
        "mae_min": round(mae, 1),
        "mae_min_same_weekday_last_week": round(mae_naive, 1),
        "better_by": round(1 - mae / mae_naive, 3),
        "actual_within_80_percent_interval": round(inside / asked, 3),
    }


def sales(visits: list[Visit]) -> list[int]:
    """The time of each unit sold."""
    return [visit.at_ms for visit in visits for _ in range(visit.units)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--product", default="Bread")
    parser.add_argument("--first-half", action="store_true", help="figures of the half to tune on")
    parser.add_argument("--chain", action="store_true", help="only the simulated chain")
    parser.add_argument("--seed", type=int, nargs="+", default=[7], help="of the chains")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of shuffled days")
    parser.add_argument("--margin", type=float, default=SilenceRules().margin)
    options = parser.parse_args()
    out: dict[str, Any] = {}
    if not options.chain and not options.data.exists():
        print(f"no {options.data}: name a till's CSV with --data", file=sys.stderr)
    elif not options.chain:
        till, products = shortage_chance.load(options.data)
        days = visits_of(till, options.product)
        numbers = list(days)
        half = len(numbers) // 2
        later = numbers[half:]
        if options.first_half:
            days, later = {d: days[d] for d in numbers[:half]}, numbers[14:half]
        first, last = (date.fromordinal(719163 + d) for d in (later[0], later[-1]))
        out["data"] = {"file": options.data.name, "from": str(first), "to": str(last)}
        rules = [rules_of(budget, options.margin) for budget in BUDGETS]
        out["silent"] = [silent_shelves(days, later, one) for one in rules]
        till = {day: till[day] for day in days}
        dealt = (till, later, options.product, options.rounds)
        out["shuffled_days"] = [shortage_chance.shuffled_days(*dealt, one) for one in rules]
        out["whole_till"] = [shortage_chance.whole_till(till, later, products, r) for r in rules]
        out["run_out"] = run_out(days, later)
    if not options.first_half:
        out["chains"] = [{"seed": seed, **chain(seed)} for seed in options.seed]
    print(json.dumps(out, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
