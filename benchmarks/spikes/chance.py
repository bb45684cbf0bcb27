"""What made series and simulated payments are made of: bumps, noise that remembers, heavy tails, counts."""

from __future__ import annotations

import math
from random import Random


def remembering(chance: Random, n: int, memory: float, scale: float) -> list[float]:
    """AR(1) of this standard deviation."""
    out, value, own = [], 0.0, math.sqrt(1 - memory**2)
    for _ in range(n):
        value = memory * value + own * chance.gauss(0, scale)
        out.append(value)
    return out


def bump(hour: float, middle: float, width: float) -> float:
    away = min(abs(hour - middle), 24 - abs(hour - middle))
    return math.exp(-0.5 * (away / width) ** 2)


def heavy(chance: Random, shape: float) -> float:
    """From 1 up, P(above x) = x ** -shape."""
    return chance.random() ** (-1 / shape)


def poisson(chance: Random, mean: float) -> int:
    if mean > 60:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    left, n = chance.expovariate(1), 0
    while left < mean:
        left += chance.expovariate(1)
        n += 1
    return n
