"""The Handbook's own fifteen features (its chapter 3), with the same learner, for the same weeks.

So that what the weeks happen to be like can be told from what the rules add: its published figures are
for one other week.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.fraud.protocol import DELAY, Data, Week
from tillstream.fraud.training import ROUNDS, SETTINGS

WINDOWS = (1, 7, 30)  # days
DAY_MS = 86_400_000


def features(data: Data) -> np.ndarray:
    """Amount; weekend, night; count and mean amount by customer, count and share of fraud by terminal
    with labels a week late, over 1, 7 and 30 days."""
    hour = data.time_ms // 3_600_000 % 24
    weekday = (data.time_ms // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday
    columns: list[Any] = [data.cents, weekday >= 5, hour <= 6]
    for days in WINDOWS:
        count, total = _window(data.customer, data.time_ms, data.cents, days, 0)
        columns += [count, total / count]
        count, frauds = _window(data.terminal, data.time_ms, data.fraud, days, DELAY)
        columns += [count, frauds / np.maximum(count, 1)]
    return np.column_stack(columns).astype(np.float32)


def scores(columns: np.ndarray, data: Data, week: Week) -> np.ndarray:
    """Scores of the week's test transactions by trees learnt on its training days."""
    import lightgbm

    learnt = lightgbm.Dataset(columns[week.train], data.fraud[week.train])
    settings = {k: v for k, v in SETTINGS.items() if not k.startswith("monotone")}
    booster = lightgbm.train(settings, learnt, ROUNDS)
    return np.asarray(booster.predict(columns[week.test]))


def _window(
    key: np.ndarray, time_ms: np.ndarray, value: np.ndarray, days: int, delay: int
) -> tuple[np.ndarray, np.ndarray]:
    """Count and sum of ``value`` of the same key in the ``days`` that ended ``delay`` days before each."""
    span = int(time_ms[-1] - time_ms[0]) + 100 * DAY_MS
    place = key.astype(np.int64) * span + (time_ms - time_ms[0])
    order = np.argsort(place, kind="stable")
    line = place[order]
    sums = np.concatenate([[0], np.cumsum(value[order].astype(np.int64))])
    end = np.searchsorted(line, line - delay * DAY_MS, side="right")
    start = np.searchsorted(line, line - (delay + days) * DAY_MS, side="right")
    count, total = np.empty(len(line), np.int64), np.empty(len(line), np.int64)
    count[order], total[order] = end - start, sums[end] - sums[start]
    return count, total
