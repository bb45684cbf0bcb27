"""The score of the Numenta Anomaly Benchmark, from its published formula.

Sources: A. Lavin, S. Ahmad, "Evaluating Real-Time Anomaly Detection Algorithms: the Numenta Anomaly
Benchmark", ICMLA 2015, section II; and Numenta's description of its scoring. The formula is theirs, the
code is not.

- The first ``min(0.15 n, 750)`` records of a series are probation: nothing there is scored.
- Of the detections within a window the one of the highest weight counts, which is the first. A record at
  index ``i`` of a window from ``a`` to ``b`` is at ``y = -(b - i + 1) / (b - a + 1)``, so the first is at
  -1, and has the weight ``sigma(y) / sigma(-1)``, where ``sigma(y) = 2 / (1 + exp(5 y)) - 1``.
- A window without a detection costs ``missed``.
- A detection outside of windows is at ``y = (i - b) / (b - a)`` of the window before it. It costs
  ``false * -sigma(y)``: almost nothing at once behind the window, ``false`` from 3 on or before the first.
- 100 is the score of a detector that finds each window at its first record and nothing else, 0 that of one
  which finds nothing: ``100 (sum + missed * windows) / ((found + missed) * windows)``.

The published scores take, for each profile, that one threshold for all series which gives the highest score.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Profile(NamedTuple):
    """What a detection in a window earns, a window without one costs, one outside costs."""

    found: float
    missed: float
    false: float


PROFILES = {
    "standard": Profile(1.0, 1.0, 0.11),
    "reward_low_fp": Profile(1.0, 1.0, 0.22),
    "reward_low_fn": Profile(1.0, 2.0, 0.11),
}


class Scored(NamedTuple):
    """A series' part of the score: its windows as (first, last) index and the detector's score of each
    record, of which only those above 0 can be detections."""

    windows: list[tuple[int, int]]
    scores: list[float]


class Result(NamedTuple):
    """score: None where there is no window. found, missed: windows. false: detections outside."""

    score: float | None
    threshold: float
    found: int
    missed: int
    false: int


class _Point(NamedTuple):
    score: float
    window: int  # its number in the corpus; -1 outside
    weight: float


def sigma(y: float) -> float:
    """The scaled sigmoid: 0.9866 at -1, 0 at 0, -1 from 3 on."""
    return -1.0 if y >= 3.0 else 2.0 / (1.0 + math.exp(5.0 * y)) - 1.0


def probation(records: int) -> int:
    """How many records at the start are not scored."""
    return math.floor(min(0.15 * records, 750.0))


def indices(
    times: Sequence[float], windows: Iterable[tuple[float, float]]
) -> list[tuple[int, int]]:
    """(first, last) record within each window, in order; windows without a record are left out."""
    found = [(bisect_left(times, start), bisect_right(times, end) - 1) for start, end in windows]
    return sorted((first, last) for first, last in found if first <= last)


def best(corpus: Sequence[Scored], profile: Profile) -> Result:
    """With the one threshold for all series that gives the highest score, as NAB's own runner takes it."""
    points, windows = _points(corpus)
    points.sort(key=lambda point: -point.score)
    weights = [-profile.missed] * windows
    sum_found, cost, false = -profile.missed * windows, 0.0, 0
    top = Result(_normal(sum_found, windows, profile), math.inf, 0, windows, 0)
    found = 0
    for n, point in enumerate(points):
        if point.window < 0:
            cost += point.weight * profile.false
            false += 1
        else:
            before = weights[point.window]
            after = max(before, point.weight * profile.found)
            found += before == -profile.missed
            weights[point.window] = after
            sum_found += after - before
        if n + 1 < len(points) and points[n + 1].score == point.score:
            continue
        score = _normal(sum_found + cost, windows, profile)
        if score is not None and top.score is not None and score > top.score:
            top = Result(score, point.score, found, windows - found, false)
    return top


def at(corpus: Sequence[Scored], profile: Profile, threshold: float) -> Result:
    """With this threshold: a score that is no less is a detection."""
    points, windows = _points(corpus)
    weights = [-profile.missed] * windows
    cost, false = 0.0, 0
    for point in points:
        if point.score < threshold:
            continue
        if point.window < 0:
            cost += point.weight * profile.false
            false += 1
        else:
            weights[point.window] = max(weights[point.window], point.weight * profile.found)
    missed = sum(weight == -profile.missed for weight in weights)
    total = _normal(math.fsum(weights) + cost, windows, profile)
    return Result(total, threshold, windows - missed, missed, false)


def _normal(total: float, windows: int, profile: Profile) -> float | None:
    if not windows:
        return None
    return 100 * (total + profile.missed * windows) / ((profile.found + profile.missed) * windows)


def _points(corpus: Sequence[Scored]) -> tuple[list[_Point], int]:
    """What can be a detection, and how many windows there are behind probation."""
    points: list[_Point] = []
    windows = 0
    for series in corpus:
        first = probation(len(series.scores))
        numbers: dict[int, int] = {}
        for number, (_, end) in enumerate(series.windows):
            if end >= first:
                numbers[number] = windows
                windows += 1
        number = 0  # of the first window that ends at or behind the record
        for index, score in enumerate(series.scores):
            while number < len(series.windows) and series.windows[number][1] < index:
                number += 1
            if index >= first and score > 0:
                points.append(_point(series.windows, number, numbers, index, score))
    return points, windows


def _point(
    windows: list[tuple[int, int]], number: int, numbers: dict[int, int], index: int, score: float
) -> _Point:
    if number < len(windows) and windows[number][0] <= index:
        start, end = windows[number]
        weight = sigma(-(end - index + 1) / (end - start + 1)) / sigma(-1.0)
        return _Point(score, numbers[number], weight)
    if not number:
        return _Point(score, -1, -1.0)
    start, end = windows[number - 1]
    return _Point(score, -1, sigma((index - end) / max(end - start, 1)))
