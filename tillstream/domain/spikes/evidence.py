"""How strange a record is, seen in seven ways: numbers of either sign whose usual size does not matter.

- season: off the baseline (`baseline`), in deviations of that time of day.
- short, long: running means of that over 6 and 36 records: what lasts.
- jump: off the mean of the last few records (EWMA, 0.3), in its usual deviations.
- restless: steps of the last 24 records against all: more, or less, noise than ever.
- range: off the slow middle (Huber 1964), in its usual deviations.
- trend: a mean of some 250 records against the last few, in the same.

Running means are exponentially weighted (Roberts 1959). Usual deviations are means of absolute ones, in
which a single record counts no more than a few times the mean, so that an anomaly does not hide the next.
All are ratios: a series that is multiplied looks the same, and so does one that is shifted, to rounding.
"""

from __future__ import annotations

import math

import msgspec

from tillstream.domain.spikes import baseline as bl
from tillstream.domain.spikes.baseline import Baseline
from tillstream.domain.spikes.rules import SpikeRules

FAST, SHORT, LONG, STEPS = 0.3, 1 / 6, 1 / 36, 1 / 24
LARGEST = 1e150  # of a value; products of two are finite
_ROUNDING = 1e-12
_ENOUGH = 50  # records before a deviation limits what it learns
_FAR = 1e12
_BOUND = 12.0  # deviations of one record in the running means of what lasts
_GAP = 48.0  # intervals without a record, after which what lasted is over


class Levels(msgspec.Struct, array_like=True, gc=False):
    """Running means of one series. interval_ms: median time between records. fast, slow, middle: levels;
    jump, reach, usual: mean deviation from fast, from middle, and from the record before. steps: the last
    of these. short, long: of deviations from the baseline."""

    base: Baseline
    last_ms: int
    previous: float
    fast: float
    slow: float
    middle: float
    seen: int = 1
    interval_ms: float = 0.0
    jump: float = 0.0
    reach: float = 0.0
    usual: float = 0.0
    steps: float = 0.0
    short: float = 0.0
    long: float = 0.0


def scaled(value: float, rules: SpikeRules) -> float:
    """As it is judged: a count's square root (Anscombe 1948), else the value, within what can be computed."""
    value = min(max(float(value), -LARGEST), LARGEST)
    return math.sqrt(max(value, 0.0) + 0.375) if rules.counts else value


def new_levels(at_ms: int, value: float) -> Levels:
    return Levels(bl.new_baseline(value), at_ms, value, value, value, value)


def weigh(
    levels: Levels, at_ms: int, value: float, rules: SpikeRules
) -> tuple[tuple[float, ...], float]:
    """(strangeness by stream, what was expected in the series' own unit); the record is learnt."""
    _tick(levels, at_ms)
    where = bl.place(levels.last_ms, levels.interval_ms, rules)
    normal = bl.expected(levels.base, where, rules)
    residual = value - normal.value
    floor = 1e-3 * levels.reach + _ROUNDING * abs(value) + 1e-300
    off = _ratio(residual, normal.spread + floor)
    bounded = min(max(off, -_BOUND), _BOUND)
    levels.short += (bounded - levels.short) * SHORT
    levels.long += (bounded - levels.long) * LONG
    jump, away, step = value - levels.fast, value - levels.middle, abs(value - levels.previous)
    step = min(step, 8 * levels.usual) if levels.seen >= _ENOUGH else step
    levels.steps += (step - levels.steps) * STEPS
    restless = _ratio(levels.steps + floor, levels.usual + floor)
    strange = (
        off,
        levels.short,
        levels.long,
        _ratio(jump, levels.jump + floor),
        restless - 1.0 if restless >= 1.0 else 1.0 - 1.0 / restless,
        _ratio(away, levels.reach + floor),
        _ratio(levels.fast - levels.slow, levels.reach + floor),
    )
    bl.learn(levels.base, where, normal, residual, rules)
    _learn(levels, value, jump, away, step)
    return strange, max(normal.value, 0.0) ** 2 if rules.counts else normal.value


def _tick(levels: Levels, at_ms: int) -> None:
    """Time passes; the interval is a median found by small steps (stochastic approximation)."""
    gap = max(at_ms - levels.last_ms, 0)
    levels.last_ms += gap
    levels.seen += 1
    if levels.seen < 20:
        levels.interval_ms = min(levels.interval_ms or gap, gap or levels.interval_ms)
    else:
        levels.interval_ms *= 1.02 if gap > levels.interval_ms else 1 / 1.02
    if gap > _GAP * levels.interval_ms > 0:
        levels.short = levels.long = 0.0


def _ratio(value: float, by: float) -> float:
    return min(max(value / by, -_FAR), _FAR)


def _learn(levels: Levels, value: float, jump: float, away: float, step: float) -> None:
    first = 1.0 / levels.seen
    size, far = abs(jump), abs(away)
    if levels.seen >= _ENOUGH:
        size = min(size, 4 * levels.jump)
        if far > 4 * levels.reach:
            far = 4 * levels.reach
            away = math.copysign(far, away)
    levels.previous = value
    levels.fast += jump * FAST
    levels.slow += (levels.fast - levels.slow) * max(first, 0.004)
    levels.jump += (size - levels.jump) * max(first, 0.003)
    levels.usual += (step - levels.usual) * max(first, 0.001)
    levels.middle += away * max(first, 0.002)
    levels.reach += (far - levels.reach) * max(first, 0.002)
