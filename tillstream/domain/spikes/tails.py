"""How rare a number is among those seen before: its tail probability, learnt as it goes.

Numbers are kept as a histogram of their binary logarithm, in bins of a quarter of an octave. Where some were
as large, the probability is no less than their share, ``(k + 1/2) / (n + 1)``, much as a conformal p-value
(Vovk et al. 2005).
Beyond, the share of the largest is carried on by a tail fitted to the top of the histogram, as in streaming
extreme-value thresholds (Siffer et al. 2017), with a prior:

- heavy: Pareto, whose index is Hill's estimator (Hill 1975): ``P ~ (x / cut) ** -(1/m)``, where ``m`` is the
  mean of ``ln(x / cut)`` of the top. For series that nothing is known of.
- light: exponential, ``P ~ exp(-(x - cut) / m)``, where ``m`` is the mean of ``x - cut`` of the top. For
  deviations from a baseline that fits, whose tails are Gaussian to exponential.
"""

from __future__ import annotations

import math

import msgspec

STEP = 4  # bins to an octave
LEAST = -6.0  # log2 of what is in the lowest bin
BINS = 96
TOP = {False: 0.03, True: 0.003}  # the part that a heavy and a light tail are fitted to
FEWEST = {False: 8.0, True: 30.0}
PRIOR, ABOVE = 4.0, 0.5  # numbers that its prior is worth, and how far they are above the cut
REFRESH = 32
_LOG10_E = math.log10(math.e)
_MIDDLES = [2.0 ** (LEAST + (place + 0.5) / STEP) for place in range(BINS)]


class Tail(msgspec.Struct, array_like=True, gc=False):
    """seen: by bin. cut: log2 from which a number is among the top. share: log10 of 1 / the top's share;
    slope: by how much log10 of rarity grows with an octave there, or with 1 where it is light. due: records
    until these are taken again."""

    seen: list[float]
    cut: float = 1e9
    share: float = 0.0
    slope: float = 1.0
    due: int = REFRESH


def new_tail() -> Tail:
    return Tail([0.0] * BINS)


def rarity(tail: Tail, octave: float, total: float, light: bool = False) -> float:
    """``-log10 P(as large or larger)`` of a number whose log2 is ``octave``, among ``total`` records; 0 for
    what is not among the top."""
    if octave < tail.cut:
        return 0.0
    place = min(int((octave - LEAST) * STEP), BINS - 1)
    larger = sum(tail.seen[place:])
    by_tail = tail.share + _above(octave, tail.cut, light) * tail.slope
    if larger:
        return min(by_tail, math.log10((total + 1) / (larger + 0.5)))
    top = next((n for n in range(place - 1, -1, -1) if tail.seen[n]), 0)
    beyond = _above(octave, LEAST + (top + 1) / STEP, light)
    return min(by_tail, math.log10(total + 1) + 0.3 + beyond * tail.slope)


def _above(octave: float, cut: float, light: bool) -> float:
    return 2.0**octave - 2.0**cut if light else octave - cut


def learn(tail: Tail, octave: float, total: float, light: bool = False) -> None:
    """Adds a number."""
    place = int((octave - LEAST) * STEP) if octave > LEAST else 0
    tail.seen[place if place < BINS else BINS - 1] += 1.0
    tail.due -= 1
    if tail.due <= 0:
        _refresh(tail, total, light)


def _refresh(tail: Tail, total: float, light: bool) -> None:
    """Takes the top and its slope again."""
    tail.due = REFRESH
    wanted = max(FEWEST[light], TOP[light] * total)
    count, place, seen = 0.0, BINS, tail.seen
    while place > 1 and count < wanted:
        place -= 1
        count += seen[place]
    tail.cut = LEAST + place / STEP
    tail.share = math.log10((total + 1) / (count + 1)) if total > count else 0.0
    if light:
        cut = 2.0**tail.cut
        above = sum(seen[n] * (_MIDDLES[n] - cut) for n in range(place, BINS) if seen[n])
    else:
        above = sum((n - place + 0.5) * seen[n] for n in range(place, BINS) if seen[n]) / STEP
    tail.slope = _LOG10_E * (count + PRIOR) / (above + PRIOR * ABOVE)


def forget(tail: Tail) -> None:
    """What was seen counts half from now on; what has become a thousandth is forgotten."""
    tail.seen = [count * 0.5 if count > 0.002 else 0.0 for count in tail.seen]
