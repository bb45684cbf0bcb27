"""Two detectors to compare with, of which NAB publishes scores on its own series: chance (11), and a sliding
Gaussian (39.6). A corpus on which they score the like is about as hard."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from random import Random

KEPT, EVERY = 6_400, 100


def random_scores(values: Sequence[float], seed: int) -> list[float]:
    chance = Random(seed)
    return [chance.random() for _ in values]


def gaussian_scores(values: Sequence[float]) -> list[float]:
    """``1 - P(further from the mean)`` under a normal distribution of the last KEPT values, of which mean and
    deviation are taken again after each EVERY."""
    kept: deque[float] = deque(maxlen=KEPT)
    mean, deviation = 0.0, 0.0
    out = []
    for n, value in enumerate(values):
        if n and (n % EVERY == 0 or n < 10):
            mean = math.fsum(kept) / len(kept)
            deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in kept) / len(kept)) or 1e-6
        z = abs(value - mean) / deviation if deviation else 0.0
        out.append(math.erf(z / math.sqrt(2)))
        kept.append(value)
    return out
