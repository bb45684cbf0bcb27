"""Distributions of counts against sums and simulations of what they describe."""

from __future__ import annotations

import math
from random import Random

import pytest

from tillstream.domain.demand.counts import (
    negative_binomial_tail,
    none_sold,
    waiting_quantile,
)


def test_without_spread_a_silence_is_as_likely_as_none_of_a_poisson():
    assert none_sold(-math.log(0.01), 1e12) == pytest.approx(0.01)


@pytest.mark.parametrize("shape", [1.5, 8.0, 100.0])
@pytest.mark.parametrize("mean", [3.0, 7.0])
def test_a_silence_is_what_the_tail_leaves(shape, mean):
    assert none_sold(mean, shape) == pytest.approx(1 - negative_binomial_tail(1, mean, shape))


def test_the_tail_without_spread_is_the_sum_of_a_poissons_terms():
    terms = [math.exp(-4) * 4**n / math.factorial(n) for n in range(40)]
    for n in range(15):
        assert negative_binomial_tail(n, 4.0, 1e12) == pytest.approx(sum(terms[n:]), abs=1e-7)


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
def test_tails_are_those_of_a_poisson_with_a_gamma_rate(mean, shape):
    sample = draws(mean, shape)
    for probability in (0.5, 0.9, 0.98):
        n = sample[int(probability * len(sample))]
        tail = sum(one >= n for one in sample) / len(sample)
        assert negative_binomial_tail(n, mean, shape) == pytest.approx(tail, abs=0.012)


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
