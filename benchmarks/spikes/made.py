"""A corpus by a seed that resembles what the Numenta Anomaly Benchmark has of each of its seven kinds.

Nothing here knows the detector. A series is made of a daily or no shape, noise that remembers (AR(1)) or
has heavy tails, gaps, and events that nobody labelled; then anomalies are planted, some plain and some
that hardly show. Windows are laid as NAB lays them: around the first record of each anomaly, 10 % of the
file divided by the number of its anomalies long, those that overlap merged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from benchmarks.spikes.chance import bump, heavy, poisson, remembering

DAY_S = 86_400
FIRST_S = 1_396_310_400  # 2014-04-01, a Tuesday


class Series(NamedTuple):
    """name: ``kind/file.csv``. times: seconds since the epoch, UTC. windows: (first, last) second of each."""

    name: str
    times: list[float]
    values: list[float]
    windows: list[tuple[float, float]]


class Made(NamedTuple):
    """A series before its windows: anomalies are indices at which one begins."""

    times: list[float]
    values: list[float]
    anomalies: list[int]


def corpus(seed: int) -> list[Series]:
    """45 series of 7 kinds, the same for the same seed."""
    return [_series(name, make(Random(f"{seed}/{name}"))) for name, make in _makers()]


def _makers() -> Iterator[tuple[str, Callable[[Random], Made]]]:
    for n, shape in enumerate(("wave", "square", "small_noise", "flat", "noise")):
        yield f"artificial_without/{n}_{shape}.csv", lambda chance, s=shape: _plain(chance, s)
    for n, what in enumerate(("flat_middle", "higher", "lower", "no_peak", "denser", "taller")):
        yield f"artificial_with/{n}_{what}.csv", lambda chance, w=what: _planted(chance, w)
    for n in range(10):
        yield f"cloud/{n}.csv", _cloud
    for n in range(6):
        yield f"ads/{n}.csv", _ads
    known = (_temperature, _rides, _requests, _misconfigured, _typing, _machine)
    for make in known:
        yield f"known_cause/{make.__name__[1:]}.csv", make
    for n, what in enumerate(
        ("speed", "occupancy", "travel_time", "speed", "travel_time", "occupancy")
    ):
        yield f"traffic/{n}_{what}.csv", lambda chance, w=what: _traffic(chance, w)
    for n in range(6):
        yield f"tweets/{n}.csv", _tweets


def _series(name: str, made: Made) -> Series:
    times, n = made.times, len(made.times)
    half = 0.1 * n / max(len(made.anomalies), 1) / 2
    windows: list[tuple[float, float]] = []
    for index in sorted(made.anomalies):
        first = times[max(0, int(index - half))]
        last = times[min(n - 1, int(index + half))]
        if windows and first <= windows[-1][1]:
            first = windows.pop()[0]
        windows.append((first, last))
    return Series(name, times, [round(value, 6) for value in made.values], windows)


def _every(n: int, seconds: float) -> list[float]:
    return [FIRST_S + seconds * i for i in range(n)]


def _places(chance: Random, n: int, count: int, start: float = 0.2) -> list[int]:
    """Indices of so many anomalies, apart from each other and behind probation."""
    step = (0.96 - start) / count
    return [int(n * (start + step * (i + chance.uniform(0.1, 0.9)))) for i in range(count)]


def _hour(second: float) -> float:
    return second % DAY_S / 3600


def _weekend(second: float) -> bool:
    return (int(second // DAY_S) + 3) % 7 >= 5


# Artificial, without and with an anomaly


def _plain(chance: Random, shape: str) -> Made:
    times = _every(4032, 300)
    level, high = chance.uniform(10, 50), chance.uniform(20, 60)
    noise = {"small_noise": 0.03 * high, "noise": 0.25 * high}.get(shape, 0.0)
    values = []
    for second in times:
        value = level + chance.uniform(-noise, noise)
        if shape in ("wave", "small_noise"):
            value += high * max(0.0, math.sin((_hour(second) - 8) / 24 * 2 * math.pi))
        elif shape == "square":
            value += high * (9 <= _hour(second) < 18)
        values.append(value)
    return Made(times, values, [])


def _planted(chance: Random, what: str) -> Made:
    times = _every(4032, 300)
    day = chance.randint(8, 12)
    if what in ("denser", "taller"):
        return _spiky(chance, times, what, day)
    low, high, noise = chance.uniform(10, 40), chance.uniform(40, 60), chance.uniform(2, 9)
    begin = chance.uniform(9.0, 10.5)
    values = []
    for second in times:
        hour, today = _hour(second), int((second - FIRST_S) // DAY_S) == day
        at_work = begin <= hour < 18
        value = low + high * at_work
        if today and at_work:
            if what == "higher":
                value += high * chance.uniform(0.9, 1.1)
            elif what == "lower":
                value -= high * 0.6
            elif what == "no_peak":
                value = low
            elif what == "flat_middle":
                value = low + 0.4 * high
        if not (today and what == "flat_middle" and at_work):
            value += chance.uniform(-noise, noise)
        values.append(value)
    return Made(times, values, [day * 288 + int(begin * 12)])


def _spiky(chance: Random, times: list[float], what: str, day: int) -> Made:
    """Spikes now and then; from an hour on more often, or higher."""
    start = day * 288 + chance.randint(0, 287)
    often, height = chance.uniform(0.01, 0.03), chance.uniform(0.6, 2.0)
    values = []
    for i in range(len(times)):
        late = start <= i < start + 288
        value = max(0.0, chance.gauss(0.05, 0.02))
        if chance.random() < often * (6 if late and what == "denser" else 1):
            value += height * chance.uniform(0.8, 1.2) * (2 if late and what == "taller" else 1)
        values.append(value)
    return Made(times, values, [start])


# Servers


def _cloud(chance: Random) -> Made:
    n = 4032
    times = _every(n, 300)
    base = 10 ** chance.uniform(0, 6)
    own = chance.choice((0.01, 0.05, 0.15))
    daily = chance.choice((0.0, 0.0, 0.3))
    job = chance.choice((0, 0, 12, 72, 288))  # a regular task every so many records
    stray = chance.choice((0.0, 0.002, 0.01))  # spikes that are nothing
    noise = remembering(chance, n, chance.choice((0.0, 0.5, 0.9)), own)
    values = []
    for i, second in enumerate(times):
        value = 1 + noise[i] + daily * bump(_hour(second), 14, 4)
        if job and i % job < 2:
            value += 0.8
        if chance.random() < stray:
            value += own * 4 * heavy(chance, 2.5)
        values.append(value)
    anomalies = _places(chance, n, chance.choice((1, 1, 2, 2, 3)))
    for index in anomalies:
        _break_server(chance, values, index, own)
    return Made(times, [max(base * value, 0.0) for value in values], anomalies)


def _break_server(chance: Random, values: list[float], index: int, own: float) -> None:
    n, size = len(values), max(own * chance.uniform(3, 12), 0.15)
    what = chance.choice(("spike", "spike", "level", "burst", "dead", "restless", "ramp"))
    if what == "spike":
        for i in range(index, min(n, index + chance.randint(1, 4))):
            values[i] += 1.5 * size
    elif what == "level":
        way = chance.choice((1, 1, -1))
        for i in range(index, n):
            values[i] += way * min(size, 0.7)
    elif what == "dead":
        for i in range(index, min(n, index + chance.randint(12, 150))):
            values[i] *= 0.05
    else:
        length = chance.randint(24, 150)
        for i in range(index, min(n, index + length)):
            part = (i - index) / length
            values[i] += {
                "burst": size,
                "restless": chance.gauss(0, 0.7 * size),
                "ramp": 1.5 * size * part,
            }[what]


# Prices of advertisements, by the hour


def _ads(chance: Random) -> Made:
    n = chance.randint(1540, 1650)
    times = _every(n, 3600)
    noise = remembering(chance, n, chance.uniform(0.3, 0.8), chance.uniform(0.08, 0.35))
    daily, base = chance.uniform(0, 0.3), 10 ** chance.uniform(-1.3, 0.3)
    values = [
        base * math.exp(noise[i] + daily * bump(_hour(second), 20, 5))
        for i, second in enumerate(times)
    ]
    for _ in range(chance.randint(3, 15)):  # nobody minded these
        values[chance.randrange(n)] *= chance.uniform(1.3, 2.0) * heavy(chance, 3.0)
    anomalies = _places(chance, n, chance.randint(1, 4), 0.17)
    for index in anomalies:
        up = chance.choice((True, True, True, False))
        for i in range(index, min(n, index + chance.choice((1, 1, 2, 5, 12)))):
            values[i] *= chance.uniform(1.6, 4.5) if up else chance.uniform(0.1, 0.45)
    return Made(times, values, anomalies)


# Series with a known cause


def _temperature(chance: Random) -> Made:
    """Of a room by the hour: slow, with the sun; two failures."""
    n = 7200
    times = _every(n, 3600)
    slow = remembering(chance, n, 0.995, 3.5)
    noise = remembering(chance, n, 0.6, 0.7)
    values = [
        70 + slow[i] + noise[i] + 1.5 * bump(_hour(second), 15, 4) for i, second in enumerate(times)
    ]
    anomalies = _places(chance, n, 2)
    for index in anomalies:
        way, length = chance.choice((-1, 1)), chance.randint(20, 120)
        for i in range(index, min(n, index + length)):
            values[i] += way * 9 * min(1.0, (i - index + 1) / 10)
    return Made(times, values, anomalies)


def _rides(chance: Random) -> Made:
    """Taxis by the half hour: weekdays differ; holidays, a marathon, a storm."""
    n = 10_320
    times = _every(n, 1800)
    noise = remembering(chance, n, 0.8, 0.06)
    luck = [chance.gauss(1, 0.04) for _ in range(n // 48 + 1)]
    values = []
    for i, second in enumerate(times):
        hour, free = _hour(second), _weekend(second)
        shape = 4 + 14 * bump(hour, 19.5, 4.5) + (4 if free else 9) * bump(hour, 9, 2.5)
        shape += 9 * bump(hour, 0.5, 2) if free else 0
        values.append(1000 * shape * luck[i // 48] * math.exp(noise[i]))
    anomalies = [place // 48 * 48 + chance.randint(10, 30) for place in _places(chance, n, 5)]
    for index in anomalies:
        factor = chance.choice((0.3, 0.5, 0.6, 1.5))
        for i in range(index, min(n, index + chance.choice((8, 24, 30)))):
            values[i] *= factor
    return Made(times, values, anomalies)


def _requests(chance: Random) -> Made:
    """Latency of a server before it fails."""
    n = 4032
    times = _every(n, 300)
    values = [45 + noise for noise in remembering(chance, n, 0.3, 2.0)]
    for _ in range(12):
        values[chance.randrange(n)] += chance.uniform(6, 14)
    anomalies = _places(chance, n, 3, 0.4)
    for number, index in enumerate(anomalies):
        for i in range(index, min(n, index + chance.randint(2, 14))):
            values[i] += (number + 1) * chance.uniform(4, 16)
    return Made(times, values, anomalies)


def _misconfigured(chance: Random) -> Made:
    """A group of servers by the day; then it works hard all night."""
    n = 9000
    times = _every(n, 300)
    noise = remembering(chance, n, 0.7, 4.0)
    index = _places(chance, n, 1, 0.6)[0]
    length = chance.randint(500, 1200)
    values = []
    for i, second in enumerate(times):
        day = 35 * bump(_hour(second), 15, 5) * (0.6 if _weekend(second) else 1)
        wrong = index <= i < index + length
        values.append(max(0.0, 20 + (38 if wrong else day) + noise[i]))
    return Made(times, values, [index])


def _typing(chance: Random) -> Made:
    """How long keys are held: no clock in it; then somebody else types."""
    n, second = 1900, float(FIRST_S)
    times, values = [], []
    anomalies = _places(chance, n, 2, 0.4)
    other = range(anomalies[0], anomalies[0] + 120), range(anomalies[1], anomalies[1] + 120)
    for i in range(n):
        second += max(1.0, round(chance.expovariate(1 / 400)))
        times.append(second)
        strange = i in other[0] or i in other[1]
        typical = chance.lognormvariate(-2.4 if not strange else -1.9, 0.25)
        values.append(typical * (heavy(chance, 1.5) if chance.random() < 0.03 else 1))
    return Made(times, values, anomalies)


def _machine(chance: Random) -> Made:
    """Of a machine's part: slow, shut down once on purpose, unwell before it fails."""
    n = 12_000
    times = _every(n, 300)
    slow = remembering(chance, n, 0.999, 5.0)
    noise = remembering(chance, n, 0.9, 1.2)
    values = [88 + slow[i] + noise[i] for i in range(n)]
    anomalies = _places(chance, n, 4)
    for number, index in enumerate(anomalies):
        for i in range(index, min(n, index + chance.randint(60, 400))):
            if number % 2:
                values[i] += chance.gauss(0, 6)
            else:
                values[i] -= (40 if number else 22) * min(1.0, (i - index + 1) / 20)
    return Made(times, values, anomalies)


# Roads, at uneven times


def _traffic(chance: Random, what: str) -> Made:
    n, second = chance.randint(1200, 2500), float(FIRST_S)
    times = []
    for _ in range(n):
        second += 300 * max(1, round(chance.expovariate(1 / 1.6)))
        if chance.random() < 0.004:
            second += 3600 * chance.randint(1, 20)
        times.append(second)
    noise = remembering(chance, n, chance.uniform(0.2, 0.8), 1.0)
    anomalies = _places(chance, n, chance.randint(1, 3), 0.18)
    jams = {}
    for index in [chance.randrange(n) for _ in range(chance.randint(3, 12))]:  # of every day
        jams.update(
            dict.fromkeys(range(index, index + chance.randint(1, 5)), chance.uniform(0.15, 0.6))
        )
    for index in anomalies:
        strength = chance.uniform(0.35, 1.0)
        jams.update(dict.fromkeys(range(index, index + chance.choice((2, 6, 20))), strength))
    values = []
    for i, second in enumerate(times):
        hour = _hour(second)
        rush = 0.0 if _weekend(second) else bump(hour, 8, 1.2) + 0.8 * bump(hour, 17, 1.5)
        jam = jams.get(i, 0.0)
        if what == "speed":
            value = 72 + 3.5 * noise[i] - 9 * rush - 45 * jam
        elif what == "occupancy":
            value = 4 + 5 * bump(hour, 13, 5) + 6 * rush + abs(1.8 * noise[i]) + 22 * jam
        else:
            value = (220 + 160 * rush) * math.exp(0.3 * noise[i])
            value *= 1 + 7 * jam * chance.uniform(0.5, 1.2)
            if chance.random() < 0.01:
                value *= heavy(chance, 2.0)
        values.append(max(0.0, value))
    return Made(times, values, anomalies)


# Words about a company, counted in five minutes


def _tweets(chance: Random) -> Made:
    n = 8000
    times = _every(n, 300)
    base, burst = 10 ** chance.uniform(0.3, 1.9), 0.0
    noise = remembering(chance, n, 0.9, 0.35)
    anomalies = _places(chance, n, chance.randint(2, 4))
    events = {i: chance.uniform(3, 16) for i in anomalies}
    values = []
    for i, second in enumerate(times):
        burst *= 0.93
        if i in events:
            burst += events[i]
        elif chance.random() < 0.003:  # talk that nobody labelled
            burst += heavy(chance, 1.6) - 0.5
        day = (0.45 + 0.9 * bump(_hour(second), 18, 5)) * (0.7 if _weekend(second) else 1)
        rate = base * math.exp(noise[i]) * day * (1 + burst)
        values.append(float(poisson(chance, rate)))
    return Made(times, values, anomalies)
