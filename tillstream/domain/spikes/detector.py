"""prototype"""
from __future__ import annotations

import math

import msgspec

from tillstream.domain.spikes import baseline as bl
from tillstream.domain.spikes import tails
from tillstream.domain.spikes.baseline import Baseline
from tillstream.domain.spikes.rules import SpikeRules
from tillstream.domain.spikes.tails import Tail

FAST, SHORT, LONG, CALM = 0.3, 1 / 6, 1 / 36, 1 / 24
STREAMS = 7
import os
OFF = set(os.environ.get("OFF","").split(","))
BONUS = float(os.environ.get("BONUS","0.3"))
PR = float(os.environ.get("PR","0.5"))
REST = os.environ.get("REST")

class Watch(msgspec.Struct, array_like=True, gc=False):
    base: Baseline
    tails: list[Tail]
    last_ms: int
    interval_ms: float = 0.0
    seen: int = 0
    total: float = 0.0
    fast: float = 0.0
    jump: float = 0.0
    previous: float = 0.0
    short: float = 0.0
    long: float = 0.0
    calm: float = 0.0
    usual: float = 0.0
    middle: float = 0.0
    reach: float = 0.0
    slow: float = 0.0
    hold: float = 0.0
    rested: int = 0


def observe(watch, at_ms, value, rules):
    if rules.counts:
        value = math.sqrt(max(value, 0) + 0.375)
    if watch is None:
        watch = Watch(bl.new_baseline(value), [tails.new_tail() for _ in range(2 * STREAMS + 1)], at_ms)
        watch.fast = watch.middle = watch.previous = value
        watch.seen = 1
        return watch, (0.0, 0.0)
    gap = at_ms - watch.last_ms
    watch.last_ms = at_ms
    watch.seen += 1
    w = watch
    if w.seen < 20 or not w.interval_ms:
        w.interval_ms = gap if not w.interval_ms else min(w.interval_ms, gap)
    else:
        w.interval_ms += w.interval_ms * 0.02 * (1 if gap > w.interval_ms else -1)
    where = bl.place(at_ms, w.interval_ms, rules)
    expected, spread = bl.expected(w.base, where, rules)
    residual = value - expected
    rate = 1.0 / w.seen
    floor = 1e-3 * w.reach + 1e-12 * abs(value) + 1e-300
    z = residual / (spread + floor)
    jump = value - w.fast
    strange = [z, jump / (w.jump + floor)]
    zc = max(-12.0, min(12.0, z))
    w.short += (zc - w.short) * SHORT
    w.long += (zc - w.long) * LONG
    strange += [w.short, w.long]
    step = abs(value - w.previous)
    w.previous = value
    lim = 8 * w.usual
    w.calm += ((step if step < lim or w.seen < 50 else lim) - w.calm) * CALM
    ratio = (w.calm + floor) / (w.usual + floor)
    strange.append(ratio-1 if ratio >= 1 else -(1 / ratio-1))
    away = value - w.middle
    strange.append(away / (w.reach + floor))
    strange.append((w.fast-w.slow)/(w.reach + floor))
    w.total += 1.0
    score = second = 0.0
    for n, a in enumerate(strange):
        if str(n) in OFF: continue
        side = w.tails[2 * n + (a < 0)]
        octave = math.log2(abs(a)) if abs(a) > 0.016 else tails.LEAST
        s = tails.rarity(side, octave, w.total)
        if s > score:
            score, second = s, score
        elif s > second:
            second = s
        tails.learn(side, octave, w.total, PR)
    score += BONUS * second
    last = w.tails[-1]
    octave = score * 3.3219
    final = tails.rarity(last, octave, w.total)
    tails.learn(last, octave, w.total, 1.44)
    if w.total > 2 * rules.memory:
        w.total /= 2
        for tail in w.tails:
            tails.forget(tail)
    bl.learn(w.base, where, residual, spread, rules)
    w.fast += jump * FAST
    size = abs(jump)
    w.jump += ((size if size < 4 * w.jump or w.seen < 50 else 4 * w.jump) - w.jump) * max(rate, 0.003)
    w.usual += ((step if step < lim or w.seen < 50 else lim) - w.usual) * max(rate, 0.001)
    w.slow += (w.fast-w.slow)*max(rate,0.004)
    far = abs(away)
    if far > 4 * w.reach and w.seen > 50:
        away, far = math.copysign(4 * w.reach, away), 4 * w.reach
    w.middle += away * max(rate, 0.002)
    w.reach += (far - w.reach) * max(rate, 0.002)
    w.rested += 1
    raw = final
    if w.seen < rules.learn:
        final = 0.0
    rest = int(REST) if REST else rules.rest
    if w.rested < rest and int(final * 4) <= int(w.hold * 4):
        return w, (0.0, raw)
    if final > 0:
        w.hold, w.rested = final, 0
    return w, (final, raw)
