"""How rare a number is among those seen before: its tail probability, learnt as it goes.

Numbers are kept as a histogram of their binary logarithm, in bins of a quarter of an octave. Where enough
were as large, the probability is their share, as of a conformal p-value (Vovk et al. 2005): ``(k + 1) / (n + 1)``.
Beyond, the share of the largest is carried on by a Pareto tail whose index is Hill's estimator (Hill 1975)
over the top of the histogram, as in streaming extreme-value thresholds (Siffer et al. 2017), with a prior.
"""

from __future__ import annotations

import math

import msgspec

STEP = 4  # bins to an octave
LEAST = -6.0  # log2 of what is in the lowest bin
BINS = 96
TOP = 0.03  # the part that Hill's estimator takes
PRIOR, ABOVE = 4.0, 0.5  # numbers that its prior is worth, and by how many octaves they are above the cut
REFRESH = 32
_LOG10_E = math.log10(math.e)


class Tail(msgspec.Struct, array_like=True, gc=False):
    """seen: by bin. cut: log2 from which a number is among the top. share: log10 of 1 / the top's share;
    slope: by how much log10 of rarity grows with an octave there. due: records until both are taken again."""

    seen: list[float]
    cut: float = math.inf
    share: float = 0.0
    slope: float = 1.0
    due: int = REFRESH


def new_tail() -> Tail:
    return Tail([0.0] * BINS)


def rarity(tail: Tail, octave: float, total: float) -> float:
    """``-log10 P(as large or larger)`` of a number whose log2 is ``octave``, among ``total`` records; 0 for
    what is not among the top."""
    if octave < tail.cut:
        return 0.0
    place = min(int((octave - LEAST) * STEP), BINS - 1)
    larger = sum(tail.seen[place:])
    by_tail = tail.share + (octave - tail.cut) * tail.slope
    if larger:
        return min(by_tail, math.log10((total + 1) / (larger + 0.5)))
    top = next((n for n in range(place - 1, -1, -1) if tail.seen[n]), 0)
    beyond = octave - LEAST - (top + 1) / STEP
    return min(by_tail, math.log10(total + 1) + 0.3 + beyond * tail.slope)


def learn(tail: Tail, octave: float, total: float) -> None:
    """Adds a number."""
    place = int((octave - LEAST) * STEP) if octave > LEAST else 0
    tail.seen[place if place < BINS else BINS - 1] += 1.0
    tail.due -= 1
    if tail.due <= 0:
        _refresh(tail, total)


def _refresh(tail: Tail, total: float) -> None:
    """Takes the top and its slope again."""
    tail.due = REFRESH
    wanted = max(8.0, TOP * total)
    count, above, seen = 0.0, 0.0, tail.seen
    place = BINS
    while place > 1 and count < wanted:
        place -= 1
        above += count / STEP + seen[place] * 0.5 / STEP
        count += seen[place]
    tail.cut = LEAST + place / STEP
    tail.share = math.log10((total + 1) / (count + 1)) if total > count else 0.0
    tail.slope = _LOG10_E * (count + PRIOR) / (above + PRIOR * ABOVE)


def forget(tail: Tail) -> None:
    """What was seen counts half from now on; what has become a thousandth is forgotten."""
    tail.seen = [count * 0.5 if count > 0.002 else 0.0 for count in tail.seen]
