"""Distributions of counts against sums and simulations of what they describe."""

from __future__ import annotations

import math
from random import Random

import pytest

from tillstream.domain.demand.counts import (
    count_quantile,
    negative_binomial_tail,
    none_sold,
    poisson_tail,
    silence_needed,
    waiting_quantile,
)


def test_without_spread_a_silence_needs_the_floor():
    assert silence_needed(0.01, 1e12) == -math.log(0.01)
    assert none_sold(-math.log(0.01), 1e12) == pytest.approx(0.01)


@pytest.mark.parametrize("shape", [1.5, 8.0, 100.0])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_a_silence_as_long_as_needed_has_just_the_stated_probability(shape, alpha):
    assert none_sold(silence_needed(alpha, shape), shape) == pytest.approx(alpha)


def test_the_tail_of_a_poisson_is_the_sum_of_its_terms():
    terms = [math.exp(-4) * 4**n / math.factorial(n) for n in range(40)]
    for n in range(15):
        assert poisson_tail(n, 4.0) == pytest.approx(sum(terms[n:]), abs=1e-7)


def draws(mean: float, shape: float, count: int = 20_000) -> list[int]:
    chance = Random(5)
    out = []
    for _ in range(count):
        left, n = chance.gammavariate(shape, mean / shape), 0
        while (left := left - chance.expovariate(1)) > 0:
            n += 1
        out.append(n)
    return sorted(out)


@pytest.mark.parametrize(("mean", "shape"), [(0.4, 2.0), (6.0, 5.0), (60.0, 8.0)])
def test_quantiles_and_tails_are_those_of_a_poisson_with_a_gamma_rate(mean, shape):
    sample = draws(mean, shape)
    variance = mean + mean * mean / shape
    for probability in (0.5, 0.9, 0.98):
        n = count_quantile(mean, variance, probability)
        assert sum(one <= n for one in sample) / len(sample) >= probability - 0.012
        assert sum(one <= n - 1 for one in sample) / len(sample) < probability + 0.012
        tail = sum(one >= n for one in sample) / len(sample)
        assert negative_binomial_tail(n, mean, shape) == pytest.approx(tail, abs=0.012)


def test_the_quantile_of_large_counts_continues_that_of_small_ones():
    small = count_quantile(399.0, 399 + 399**2 / 8, 0.95)
    large = count_quantile(401.0, 401 + 401**2 / 8, 0.95)
    assert 0 < large - small < 10


@pytest.mark.parametrize(("events", "shape"), [(3, 6.0), (20, 10.0), (200, 8.0)])
def test_the_wait_for_so_many_sales_is_a_gamma_over_a_gamma(events, shape):
    chance = Random(11)
    waits = sorted(
        chance.gammavariate(events, 1) / chance.gammavariate(shape, 1 / shape) / events
        for _ in range(40_000)
    )
    for probability in (0.1, 0.25, 0.5, 0.75, 0.9):
        wanted = waits[int(probability * len(waits))]
        assert waiting_quantile(events, shape, probability) == pytest.approx(wanted, rel=0.04)


def test_a_rate_nobody_knows_leaves_the_end_open():
    assert waiting_quantile(10, 0.5, 0.99) == math.inf
