"""Distributions of counts: how likely so many units are sold, and how soon they are.

A rate that is itself uncertain, ``factor ~ Gamma(shape, shape)`` with mean 1, makes a Poisson count
negative binomial (Greenwood and Yule 1920): variance = mean + mean**2 / shape. Time in which ``n``
events happen, measured in expected events, is then ``n * F(2n, 2 * shape)``: a gamma waiting time
over a gamma rate. Standard library only; approximations name their source.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from statistics import NormalDist

_MANY = 1e9  # a shape beyond this is no spread at all
_z = lru_cache(maxsize=256)(NormalDist().inv_cdf)


def negative_binomial_tail(count: int, mean: float, shape: float) -> float:
    """P(N >= count), N negative binomial of ``mean`` and variance mean + mean**2 / shape."""
    if count <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    below = 0.0
    for term in _terms(mean, shape, count):
        below += term
    return max(0.0, 1.0 - below)


def none_sold(mean: float, shape: float) -> float:
    """P(N = 0): how likely a silence of ``mean`` expected sales is where goods are on the shelf."""
    if shape >= _MANY:
        return math.exp(-mean)
    return math.exp(-shape * math.log1p(mean / shape))


def waiting_quantile(events: float, shape: float, probability: float) -> float:
    """Quantile of the expected events that pass until ``events`` have happened, over ``events``.

    That is a quantile of F(2 * events, 2 * shape), by Paulson's normal approximation (1942).
    """
    near = 1 / (9 * max(events, 0.5))
    far = 1 / (9 * max(shape, 0.5))
    z = _z(probability)
    # (1-far) y - (1-near) = z sqrt(far y^2 + near), y the cube root
    a = (1 - far) ** 2 - z * z * far
    b = (1 - far) * (1 - near)
    c = (1 - near) ** 2 - z * z * near
    if a <= 0:  # a rate so uncertain that the upper end is open
        return math.inf if z > 0 else 0.0
    root = math.sqrt(max(b * b - a * c, 0.0))
    y = (b + root) / a if z > 0 else (b - root) / a
    return max(y, 0.0) ** 3


def _terms(mean: float, shape: float, count: int) -> Iterator[float]:
    """P(N = 0), P(N = 1), ... ``count`` of them; by logarithms where the first is too small to write."""
    log_term = -mean if shape >= _MANY else -shape * math.log1p(mean / shape)
    ratio = mean / (mean + shape)
    if log_term > -600:
        term = math.exp(log_term)
        for n in range(count):
            yield term
            term *= ratio * (shape + n) / (n + 1)
        return
    for n in range(count):
        yield math.exp(log_term)
        log_term += math.log(ratio * (shape + n) / (n + 1))
