"""A spike or a collapse in a series of numbers, found as its records come.

One pass, no look ahead, a state of fixed size: about STREAMS * 2 histograms and the baseline. For each
record every stream of `evidence` says how strange it is, and `tails` how rare so much strangeness was. A
stream counts if it is rarer than one in ``odds``; the strength is

    max over streams (rarity + weight * min(log2 strangeness, octaves)),  rarity = -log10 P

Rarity alone would find as many spikes in a series of mere noise as in one with real spikes, so size counts
too. The stated false-alarm rate is that of ``odds``, for as long as records are exchangeable: size and rest
only take findings away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tillstream.domain.spikes import evidence, tails
from tillstream.domain.spikes.evidence import Levels
from tillstream.domain.spikes.rules import STREAMS, SpikeRules
from tillstream.domain.spikes.tails import LEAST, Tail

SPIKE, COLLAPSE = "spike", "collapse"
NAMES = ("season", "short", "long", "jump", "restless", "range", "trend")
LEVELS = 4.0  # strength is compared in quarters while the detector rests
_SMALLEST = 2.0**LEAST


class Watch(msgspec.Struct, array_like=True, gc=False):
    """What is known of one series. tails: upwards and downwards of each stream that is looked at. total:
    records that they hold, old ones counting less. held: strength of the last evidence, rested: records
    since."""

    levels: Levels
    tails: list[Tail]
    total: float = 0.0
    held: float = 0.0
    rested: int = 0


class Point(NamedTuple):
    """A record: ms since the epoch (UTC), and a finite number."""

    at_ms: int
    value: float


class Judged(NamedTuple):
    """What a record looks like. strength: 0 for nothing new. stream: index of the strangest; expected: the
    value, by the baseline; way: SPIKE or COLLAPSE, by the sign of what was strange."""

    strength: float
    stream: int
    way: str
    expected: float


class Finding(NamedTuple):
    """A record that is an alarm. stream: its name in NAMES, why it is."""

    at_ms: int
    way: str
    stream: str
    strength: float
    value: float
    expected: float


def observe(
    watch: Watch | None, point: Point, rules: SpikeRules
) -> tuple[Watch, Sequence[Finding], int | None]:
    """(state, findings, wake_at). Of counts ``wake_at`` (ms) is when a window without any is overdue: who has
    heard nothing by then gives a record of 0. Raises ValueError for a value that is not finite."""
    watch, judged = judge(watch, point.at_ms, point.value, rules)
    levels = watch.levels
    due = int(levels.last_ms + 2 * levels.interval_ms) if rules.counts else None
    if judged.strength <= 0 or judged.strength < rules.alarm:
        return watch, (), due
    found = Finding(
        point.at_ms, judged.way, NAMES[judged.stream], judged.strength, point.value, judged.expected
    )
    return watch, (found,), due


def judge(watch: Watch | None, at_ms: int, value: float, rules: SpikeRules) -> tuple[Watch, Judged]:
    """The state after the record, and how the record looked before it was learnt. A record that is not later
    than the one before it counts as at the same time. Raises ValueError for a value that is not finite."""
    if not math.isfinite(value):
        raise ValueError(f"a value of a series is a finite number, not {value}")
    seen = evidence.scaled(value, rules)
    if watch is None:
        used = [stream in rules.streams for stream in range(STREAMS) for _ in (SPIKE, COLLAPSE)]
        fresh = Watch(
            evidence.new_levels(at_ms, seen),
            [tails.new_tail() if here else Tail([]) for here in used],
        )
        return fresh, Judged(0.0, 0, SPIKE, value)
    strange, expected = evidence.weigh(watch.levels, at_ms, seen, rules)
    strength, stream = _strength(watch, strange, rules)
    way = COLLAPSE if strange[stream] < 0 else SPIKE
    if watch.total > 2 * rules.memory:
        watch.total /= 2
        for tail in watch.tails:
            tails.forget(tail)
    return watch, Judged(_rested(watch, strength, rules), stream, way, expected)


def _strength(watch: Watch, strange: Sequence[float], rules: SpikeRules) -> tuple[float, int]:
    """(strength, the stream it is of) of the strangest stream; all are learnt."""
    if watch.levels.seen <= rules.settle:
        return 0.0, 0
    watch.total = total = watch.total + 1.0
    least = math.log10(rules.odds)
    strength, found = 0.0, 0
    for stream in rules.streams:
        size = strange[stream]
        tail = watch.tails[2 * stream + (size < 0)]
        size = abs(size)
        octave = math.log2(size) if size > _SMALLEST else LEAST
        rare = tails.rarity(tail, octave, total, rules.light)
        if rare > least:
            rare += rules.weight * min(octave, rules.octaves)
            if rare > strength:
                strength, found = rare, stream
        tails.learn(tail, octave, total, rules.light)
    return strength, found


def _rested(watch: Watch, strength: float, rules: SpikeRules) -> float:
    """The strength, or 0 while the detector learns or rests from as much."""
    watch.rested += 1
    seen = watch.levels.seen
    if strength <= 0.0 or seen < rules.learn:
        return 0.0
    resting = watch.rested < min(rules.rest, rules.rest_share * seen)
    if resting and int(strength * LEVELS) <= int(watch.held * LEVELS):
        return 0.0
    watch.held, watch.rested = strength, 0
    return strength
